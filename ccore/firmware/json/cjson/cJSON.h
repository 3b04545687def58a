/*
 * The part of cJSON's interface that the tests of the vectors use, over a tree that is compiled in
 * (vectors_to_c.c makes it): a microcontroller has neither a file nor a parser.
 */
#ifndef OURO_BUILT_IN_JSON_H
#define OURO_BUILT_IN_JSON_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cJSON {
    const struct cJSON *next, *child;
    const char *name, *text;
    double number;
} cJSON;

#define cJSON_ArrayForEach(item, list)                                                             \
    for ((item) = (list) != NULL ? (list)->child : NULL; (item) != NULL; (item) = (item)->next)

int cJSON_GetArraySize(const cJSON *list);
const cJSON *cJSON_GetArrayItem(const cJSON *list, int index);
const cJSON *cJSON_GetObjectItemCaseSensitive(const cJSON *object, const char *name);
bool cJSON_HasObjectItem(const cJSON *object, const char *name);
const char *cJSON_GetStringValue(const cJSON *item);
double cJSON_GetNumberValue(const cJSON *item);
void cJSON_Delete(const cJSON *item);

#endif
