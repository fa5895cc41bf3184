#include <curl/curl.h>

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
static inline long ccurl_response_code(CURL *handle) {
  long code = 0;
  return curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &code) == CURLE_OK ? code : 0;
}
static inline CURLcode ccurl_start(void) {
  return curl_global_init(CURL_GLOBAL_DEFAULT);
}
