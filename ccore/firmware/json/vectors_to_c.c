/* Runs on the host: turns a JSON file into C, a tree of the nodes of json/cjson/cJSON.h. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

enum { NODES = 20000, TEXT = 1 << 20 };

static const cJSON *nodes[NODES];
static size_t count;

/* Children stand together, after their parent. */
static void collect(const cJSON *item) {
    const cJSON *child;
    cJSON_ArrayForEach(child, item) {
        if (count == NODES)
            exit(EXIT_FAILURE);
        nodes[count++] = child;
    }
    cJSON_ArrayForEach(child, item) collect(child);
}

static void print_link(const cJSON *to) {
    for (size_t i = 0; to != NULL && i < count; i++)
        if (nodes[i] == to) {
            printf("&nodes[%zu], ", i);
            return;
        }
    printf("NULL, ");
}

/* The vectors are hex, names and plain sentences: nothing in them has to be escaped. */
static void print_text(const char *text) {
    if (text == NULL)
        printf("NULL, ");
    else
        printf("\"%s\", ", text);
}

int main(int argc, char **argv) {
    static char text[TEXT];
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL)
        return EXIT_FAILURE;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    cJSON *root = cJSON_Parse(text);
    if (root == NULL)
        return EXIT_FAILURE;
    nodes[count++] = root;
    collect(root);
    printf("#include \"vectors.h\"\n\nstatic const cJSON nodes[%zu] = {\n", count);
    for (size_t i = 0; i < count; i++) {
        printf("    {");
        print_link(nodes[i]->next);
        print_link(nodes[i]->child);
        print_text(nodes[i]->string);
        print_text(nodes[i]->valuestring);
        printf("%.0f},\n", cJSON_IsNumber(nodes[i]) ? nodes[i]->valuedouble : 0.0);
    }
    printf("};\n\nconst cJSON *load_vectors(void) {\n    return nodes;\n}\n");
    cJSON_Delete(root);
    return ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
