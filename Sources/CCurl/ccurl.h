// libcurl (apt: libcurl4-openssl-dev). Swift cannot call what takes arguments of any type.
#ifndef OURO_CCURL_H
#define OURO_CCURL_H
#include <curl/curl.h>

#if LIBCURL_VERSION_NUM < 0x075700
#error "libcurl 7.87 or newer is needed (Debian 12, Ubuntu 24.04): apt-get install libcurl4-openssl-dev"
#endif

static inline CURLcode ouro_curl_set_number(CURL *easy, CURLoption option, long number)
{
    return curl_easy_setopt(easy, option, number);
}

static inline CURLcode ouro_curl_set_pointer(CURL *easy, CURLoption option, const void *pointer)
{
    return curl_easy_setopt(easy, option, pointer);
}

static inline CURLcode ouro_curl_set_callback(CURL *easy, CURLoption option, curl_write_callback callback)
{
    return curl_easy_setopt(easy, option, callback);
}

/* 0 if there is none. */
static inline long ouro_curl_number(CURL *easy, CURLINFO what)
{
    long number = 0;

    return curl_easy_getinfo(easy, what, &number) == CURLE_OK ? number : 0;
}
#endif
