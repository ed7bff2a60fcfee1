// Each form of a token is read, and nothing else is.
#include "model/receipt_token.hpp"

#include <string>

#include <gtest/gtest.h>

namespace {

using Form = model::ReceiptToken::Form;
using model::parse_receipt_token;

TEST(ReceiptToken, EachForm) {
    const auto reading = parse_receipt_token("2:745");
    ASSERT_TRUE(reading);
    EXPECT_EQ(reading->form, Form::kReading);
    EXPECT_EQ(reading->epoch.value, 2);
    EXPECT_EQ(reading->xid.value, 745U);
    const auto events = parse_receipt_token("1:18446744073709551615:65-9223372036854775807");
    ASSERT_TRUE(events);
    EXPECT_EQ(events->form, Form::kEvents);
    EXPECT_EQ(events->xid.value, 18446744073709551615U);
    EXPECT_EQ(events->first_event_id, 65);
    EXPECT_EQ(events->last_event_id, 9223372036854775807);
    const auto empty = parse_receipt_token("1:745:0-0");
    ASSERT_TRUE(empty);
    EXPECT_EQ(empty->form, Form::kEvents);
    EXPECT_EQ(empty->last_event_id, 0);
    const auto account = parse_receipt_token("1:745:00ff00ff00ff00ff");
    ASSERT_TRUE(account);
    EXPECT_EQ(account->form, Form::kAccount);
    EXPECT_EQ(account->account_key, "00ff00ff00ff00ff");
}

TEST(ReceiptToken, NothingElse) {
    for (const std::string text : {"",
                                   ":",
                                   "1",
                                   "1:",
                                   "1:2",
                                   "0:745",
                                   "-1:745",
                                   "1:745:",
                                   "1:745: ",
                                   "1:745:x",
                                   "1:745:5",
                                   "1:745:5-",
                                   "1:745:5-4",
                                   "1:745:0-4",
                                   "1:745:-5-4",
                                   "1:745:5-6-7",
                                   "1:745:5-6:7",
                                   "1:745:00ff00ff00ff00f",
                                   "1:745:00FF00FF00FF00FF",
                                   "1:745:00ff00ff00ff00ff0",
                                   "1:18446744073709551616",
                                   "2147483648:745",
                                   "1:745:1-9223372036854775808",
                                   " 1:745",
                                   "+1:745"})
        EXPECT_FALSE(parse_receipt_token(text)) << text;
}

}  // namespace
