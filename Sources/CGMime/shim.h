#include <gmime/gmime.h>

// GObject's casts and type tests are macros, which Swift cannot see.

static inline int cgmime_is_multipart(GMimeObject *object) { return GMIME_IS_MULTIPART(object); }
static inline int cgmime_is_message_part(GMimeObject *object) { return GMIME_IS_MESSAGE_PART(object); }
static inline int cgmime_is_part(GMimeObject *object) { return GMIME_IS_PART(object); }
static inline int cgmime_is_mailbox(InternetAddress *address) { return INTERNET_ADDRESS_IS_MAILBOX(address); }
static inline int cgmime_is_group(InternetAddress *address) { return INTERNET_ADDRESS_IS_GROUP(address); }
static inline GMimeMultipart *cgmime_multipart(GMimeObject *object) { return GMIME_MULTIPART(object); }
static inline GMimeMessagePart *cgmime_message_part(GMimeObject *object) { return GMIME_MESSAGE_PART(object); }
static inline GMimePart *cgmime_part(GMimeObject *object) { return GMIME_PART(object); }
static inline GMimeObject *cgmime_object(void *object) { return GMIME_OBJECT(object); }
static inline InternetAddressMailbox *cgmime_mailbox(InternetAddress *address) { return INTERNET_ADDRESS_MAILBOX(address); }
static inline InternetAddressGroup *cgmime_group(InternetAddress *address) { return INTERNET_ADDRESS_GROUP(address); }
static inline GMimeStreamMem *cgmime_memory(GMimeStream *stream) { return GMIME_STREAM_MEM(stream); }
static inline void cgmime_release(void *object) { if (object) g_object_unref(object); }
