/* lwIP with sockets, for Debian's headers. */
#define NO_SYS 0
#define LWIP_SOCKET 1
#define LWIP_DNS 1
#define LWIP_IPV6 1
