// Debian's libxml2 brings in the headers of its ICU, and Swift's Foundation has those of another version, which one program cannot have beside each other.
// Only a struct that is not used here looks different without them.
#include <libxml/xmlversion.h>
#undef LIBXML_ICU_ENABLED
#include <libxml/parser.h>
#include <libxml/xmlwriter.h>
