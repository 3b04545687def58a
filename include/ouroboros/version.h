/* The version of this library, after Semantic Versioning. */
#ifndef OUROBOROS_VERSION_H
#define OUROBOROS_VERSION_H

#define OURO_LIBRARY_VERSION "0.1.0"

#endif
