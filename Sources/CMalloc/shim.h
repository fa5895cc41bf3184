// glibc's own functions of <malloc.h>, which Swift's Glibc leaves out.
#include <malloc.h>
