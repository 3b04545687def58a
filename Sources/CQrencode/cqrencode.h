// libqrencode: QR codes (apt: libqrencode-dev).
#include <qrencode.h>
