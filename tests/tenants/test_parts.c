/* SPDX-License-Identifier: MIT */
/* What needs no store: orders, keys, plans, templates, CSV. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "order.h"
#include "plan.h"
#include "template.h"

static struct order read_order(const char *queue, const char *tenant, const char *json)
{
    json_t *data = json_loads(json, 0, NULL);
    struct order order;
    char why[ORDER_WHY] = "";

    ck_assert_msg(order_read(&order, queue, tenant, data, why) == 0, "%s", why);
    json_decref(data);
    return order;
}

START_TEST(nine_queues_in_three_classes)
{
    const char *const queues[] = {"email", "notification", "webhook", "report", "export", "image-processing",
                                  "ai",    "analytics",    "cleanup"};

    for (int i = 0; i < ORDER_QUEUES; i++) {
        ck_assert_str_eq(order_trades[i].queue, queues[i]);
        ck_assert_int_eq(order_trades[i].class, i / 3);
    }
    ck_assert_uint_eq(order_threads[CLASS_HIGH], 10);
    ck_assert_uint_eq(order_threads[CLASS_MEDIUM], 5);
    ck_assert_uint_eq(order_threads[CLASS_LOW], 2);
}
END_TEST

START_TEST(attempts_waits_and_timeouts)
{
    ck_assert_int_eq(order_trade("email")->max_attempts, 3);
    ck_assert_int_eq(order_trade("email")->base_ms, 2000);
    ck_assert_int_eq(order_trade("webhook")->max_attempts, 5);
    ck_assert_int_eq(order_trade("webhook")->base_ms, 5000);
    ck_assert_int_eq(order_trade("report")->timeout_ms, 300000);
    ck_assert_int_eq(order_trade("ai")->timeout_ms, 600000);
    for (int i = 0; i < ORDER_QUEUES; i++)
        ck_assert_int_gt(order_trades[i].timeout_ms, 0);
}
END_TEST

START_TEST(defaults_of_a_prompt)
{
    struct order order = read_order("ai", "acme", "{\"prompt\": \"p\", \"user_id\": 7}");

    ck_assert_str_eq(order.payload,
                     "{\"max_tokens\":1000,\"model\":\"gpt-4\",\"prompt\":\"p\",\"temperature\":0.7,"
                     "\"tenant_id\":\"acme\",\"user_id\":7}");
    ck_assert_int_eq(order.priority, 5);
    order_free(&order);
}
END_TEST

START_TEST(priorities_and_delays)
{
    struct order mail = read_order("email", "acme", "{\"to\": \"a@b\", \"subject\": \"s\", \"body\": \"b\"}");
    struct order later =
        read_order("email", "acme",
                   "{\"to\": \"a@b\", \"subject\": \"s\", \"body\": \"b\", \"priority\": 9, \"delay\": 70}");

    ck_assert_int_eq(mail.priority, 1);
    ck_assert_int_eq(mail.delay_ms, 0);
    ck_assert_int_eq(later.priority, 9);
    ck_assert_int_eq(later.delay_ms, 70);
    ck_assert_mem_eq(mail.key, later.key, 32); /* when and how urgently it is sent makes it no other mail */
    order_free(&mail);
    order_free(&later);
}
END_TEST

START_TEST(keys_are_of_type_tenant_and_data)
{
    const char *const data = "{\"metric\": \"orders\", \"params\": {\"a\": 1, \"b\": 2}}";
    struct order one = read_order("analytics", "acme", data);
    struct order same =
        read_order("analytics", "acme", "{\"params\": {\"b\": 2, \"a\": 1}, \"metric\": \"orders\"}");
    struct order tenant = read_order("analytics", "other", data);
    struct order content =
        read_order("analytics", "acme", "{\"metric\": \"orders\", \"params\": {\"a\": 1}}");
    struct order type = read_order("cleanup", "acme", data);

    ck_assert_mem_eq(one.key, same.key, 32);
    ck_assert_mem_ne(one.key, tenant.key, 32);
    ck_assert_mem_ne(one.key, content.key, 32);
    ck_assert_mem_ne(one.key, type.key, 32);
    order_free(&one);
    order_free(&same);
    order_free(&tenant);
    order_free(&content);
    order_free(&type);
}
END_TEST

START_TEST(plans_of_the_seed)
{
    ck_assert_str_eq(plan_of("platinum")->name, "free");
    ck_assert_int_eq(plan_of("free")->concurrency, 2);
    ck_assert_int_eq(plan_of("free")->per_minute, 10);
    ck_assert_int_eq(plan_of("starter")->concurrency, 5);
    ck_assert_int_eq(plan_of("starter")->per_minute, 50);
    ck_assert_int_eq(plan_of("pro")->concurrency, 10);
    ck_assert_int_eq(plan_of("pro")->per_minute, 200);
    ck_assert_int_eq(plan_of("enterprise")->concurrency, 20);
    ck_assert_int_eq(plan_of("enterprise")->per_minute, 1000);
}
END_TEST

static void check_template(const char *text, int is_html, const char *expected)
{
    json_t *data = json_loads("{\"a\": \"<b> & \\\"c\\\" 'd' {{n}}\", \"n\": 7, \"l\": []}", 0, NULL);
    char why[200] = "", *filled = template_fill(text, data, is_html, why);

    if (expected)
        ck_assert_msg(filled && strcmp(filled, expected) == 0, "%s: %s", filled ? filled : "NULL", why);
    else
        ck_assert_msg(!filled && *why, "%s", filled ? filled : "");
    free(filled);
    json_decref(data);
}

START_TEST(templates)
{
    check_template("x {{ n }}{{n}} }} {", 0, "x 77 }} {");
    check_template("{{a}}", 0, "<b> & \"c\" 'd' {{n}}"); /* what was put in is not looked at again */
    check_template("{{a}}", 1, "&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39; {{n}}");
    check_template("", 1, "");
    check_template("{{unknown}}", 0, NULL);
    check_template("{{l}}", 0, NULL);
    check_template("{{n", 0, NULL);
    check_template("{{}}", 0, NULL);
}
END_TEST

static void check_field(const char *text, const char *expected)
{
    char *out = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&out, &size);

    csv_field(file, text);
    fclose(file);
    ck_assert_str_eq(out, expected);
    free(out);
}

START_TEST(fields_of_csv)
{
    check_field("plain", "plain");
    check_field("", "");
    check_field("a,b", "\"a,b\"");
    check_field("say \"x\"", "\"say \"\"x\"\"\"");
    check_field("two\nlines", "\"two\nlines\"");
    check_field("-12.5", "-12.5");
    check_field("=1+1", "\"'=1+1\"");
    check_field("@SUM(A1)", "\"'@SUM(A1)\"");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tenants-parts");
    TCase *tests = tcase_create("parts");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, nine_queues_in_three_classes);
    tcase_add_test(tests, attempts_waits_and_timeouts);
    tcase_add_test(tests, defaults_of_a_prompt);
    tcase_add_test(tests, priorities_and_delays);
    tcase_add_test(tests, keys_are_of_type_tenant_and_data);
    tcase_add_test(tests, plans_of_the_seed);
    tcase_add_test(tests, templates);
    tcase_add_test(tests, fields_of_csv);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
