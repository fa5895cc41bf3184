#include <curl/curl.h>
#include <sys/socket.h>

// libcurl's setters take a variable number of arguments, which Swift cannot call.

typedef size_t (*ccurl_transfer)(char *bytes, size_t size, size_t count, void *context);

static inline CURLcode ccurl_set_number(CURL *handle, CURLoption option, long value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode ccurl_set_text(CURL *handle, CURLoption option, const char *value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode ccurl_set_list(CURL *handle, CURLoption option, struct curl_slist *value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode ccurl_set_size(CURL *handle, CURLoption option, curl_off_t value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode ccurl_set_transfer(CURL *handle, CURLoption function, ccurl_transfer call, CURLoption data, void *context) {
  CURLcode code = curl_easy_setopt(handle, function, call);
  return code == CURLE_OK ? curl_easy_setopt(handle, data, context) : code;
}
typedef int (*ccurl_progress)(void *context, curl_off_t expected, curl_off_t received, curl_off_t to_send, curl_off_t sent);

// Called about once a second, also while nothing moves; anything but 0 ends the exchange.
static inline CURLcode ccurl_set_progress(CURL *handle, ccurl_progress call, void *context) {
  CURLcode code = curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, call);
  if (code == CURLE_OK) code = curl_easy_setopt(handle, CURLOPT_XFERINFODATA, context);
  return code == CURLE_OK ? curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L) : code;
}
static inline long ccurl_response_code(CURL *handle) {
  long code = 0;
  return curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &code) == CURLE_OK ? code : 0;
}
// Ends the connection without a goodbye, for which libcurl would wait.
static inline void ccurl_hang_up(CURL *handle) {
  curl_socket_t socket = CURL_SOCKET_BAD;
  if (curl_easy_getinfo(handle, CURLINFO_ACTIVESOCKET, &socket) == CURLE_OK && socket != CURL_SOCKET_BAD) shutdown(socket, SHUT_RDWR);
}
static inline CURLcode ccurl_start(void) {
  return curl_global_init(CURL_GLOBAL_DEFAULT);
}
