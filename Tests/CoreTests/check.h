/* The checks of the C tests: each counts, a failed one is printed and the run goes on. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECK(condition) check((condition), #condition, __FILE__, __LINE__)
#define CHECK_EQUAL(a, b)                                                                          \
    check_equal((uint64_t)(a), (uint64_t)(b), #a " == " #b, __FILE__, __LINE__)
#define CHECK_BYTES(a, b, len) check_bytes((a), (b), (len), #a " == " #b, __FILE__, __LINE__)

bool check(bool condition, const char *text, const char *file, int line);
bool check_equal(uint64_t a, uint64_t b, const char *text, const char *file, int line);
bool check_bytes(const uint8_t *a, const uint8_t *b, size_t len, const char *text, const char *file,
                 int line);

/* A test is passed when it checked something and all of that held; else its name is printed. */
void run_test(const char *name, void (*test)(void));
#define RUN(test) run_test(#test, test)

/* Once a test has failed no other is run. */
void stop_at_failure(void);

/* True once a test has failed. */
bool any_failed(void);

/* Prints the sum; true when something passed and nothing failed. */
bool report_sum(void);

/* The tests of one file, each a list of RUN. */
void crypto_tests(void);
void vector_tests(void);
void packet_tests(void);
void window_tests(void);
void session_tests(void);
void handshake_tests(void);
void flag_tests(void);
void hostile_tests(void);
void epoch_tests(void);
void senseless_tests(void);
void rule_tests(void);
void flow_tests(void);
void path_tests(void);
void dead_tests(void);
void stalled_tests(void);
void once_tests(void);
void short_tests(void);
void silence_tests(void);
void close_tests(void);
void end_tests(void);
void replaced_tests(void);
void attack_tests(void);
void limit_tests(void);
void wait_tests(void);
void misuse_tests(void);
void range_tests(void);
void border_tests(void);
void edge_tests(void);
void erase_tests(void);
void fault_tests(void);
void server_tests(void);
void number_tests(void);
void ahead_tests(void);
void fleet_tests(void);
void stream_tests(void);
void slow_stream_tests(void);
void sleep_tests(void);
void network_tests(void);
void figure_tests(void);
void blob_tests(void);
void route_tests(void);

#endif
