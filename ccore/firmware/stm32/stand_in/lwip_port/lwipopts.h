/* lwIP without an operating system, for Debian's headers. */
#define NO_SYS 1
#define LWIP_SOCKET 0
#define LWIP_NETCONN 0
#define LWIP_DNS 1
