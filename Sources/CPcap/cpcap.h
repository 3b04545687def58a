#ifndef OURO_CPCAP_H
#define OURO_CPCAP_H
#include <pcap/pcap.h>
#include <stdio.h>
#endif
