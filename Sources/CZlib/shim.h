#ifndef HANSA_CZLIB_SHIM_H
#define HANSA_CZLIB_SHIM_H

#include <zlib.h>

#endif
