/* What a link may be made of: the ranges of its settings, and whether its memory is there. */
#ifndef OURO_SETTINGS_INTERNAL_H
#define OURO_SETTINGS_INTERNAL_H

#include "ouroboros/link.h"

bool ouro_settings_fit(const ouro_settings *settings);
bool ouro_memory_fits(const ouro_memory *memory, const ouro_settings *settings);

#endif
