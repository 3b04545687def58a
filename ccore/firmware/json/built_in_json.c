#include <cjson/cJSON.h>

#include <string.h>

int cJSON_GetArraySize(const cJSON *list) {
    int size = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list) size++;
    return size;
}

const cJSON *cJSON_GetArrayItem(const cJSON *list, int index) {
    const cJSON *item;
    cJSON_ArrayForEach(item, list) if (index-- == 0) return item;
    return NULL;
}

const cJSON *cJSON_GetObjectItemCaseSensitive(const cJSON *object, const char *name) {
    const cJSON *item;
    cJSON_ArrayForEach(item,
                       object) if (item->name != NULL && strcmp(item->name, name) == 0) return item;
    return NULL;
}

bool cJSON_HasObjectItem(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name) != NULL;
}

const char *cJSON_GetStringValue(const cJSON *item) {
    return item != NULL ? item->text : NULL;
}

double cJSON_GetNumberValue(const cJSON *item) {
    return item != NULL ? item->number : 0;
}

void cJSON_Delete(const cJSON *item) {
    (void)item;
}
