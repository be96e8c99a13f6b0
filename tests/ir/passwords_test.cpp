// Passwords in what is shown.
#include "ir/support/passwords.h"

#include <gtest/gtest.h>

namespace temper {
namespace {

TEST(Passwords, AreHiddenInAddresses) {
  EXPECT_EQ(without_passwords("postgresql://ada:s3cret@host:5432/db"),
            "postgresql://ada:***@host:5432/db");
  EXPECT_EQ(without_passwords("temper tune matmul --db=postgres://ada:a%40b@h/d?x=1 --trials 3"),
            "temper tune matmul --db=postgres://ada:***@h/d?x=1 --trials 3");
  EXPECT_EQ(without_passwords("'postgresql://h/d?user=ada&password=s3cret&sslmode=require'"),
            "'postgresql://h/d?user=ada&password=***&sslmode=require'");
  EXPECT_EQ(without_passwords("postgresql://:s3cret@h and postgresql://b:other@h"),
            "postgresql://:***@h and postgresql://b:***@h");
}

TEST(Passwords, ThatBreakTheAddressAreHiddenToo) {
  EXPECT_EQ(without_passwords("postgresql://ada:s3c@r/et@host/db"), "postgresql://ada:***@host/db");
  EXPECT_EQ(without_passwords("postgresql://ada:s3cret/db"), "postgresql://ada:***/db")
      << "it was meant to have a host; a port is a number";
}

TEST(Passwords, AreHiddenBesideTheKeywordsOfAServer) {
  EXPECT_EQ(without_passwords("host=h user=ada password=s3cret dbname=x"),
            "host=h user=ada password=*** dbname=x");
  EXPECT_EQ(without_passwords("'password = s3cret host = h'"), "'password = *** host = h'");
  EXPECT_EQ(without_passwords("user=ada password='s3 c\\'ret' x"), "user=ada password='***' x");
  EXPECT_EQ(without_passwords("password=s3cret"), "password=***");
  EXPECT_EQ(without_passwords("host=h postgresql://ada:a@h/d?password=b password=c"),
            "host=h postgresql://ada:***@h/d?password=*** password=***");
}

TEST(Passwords, WhatIsNoneStays) {
  for (const char* text :
       {"postgresql://ada@host:5432/db", "https://host/a:b", "postgresql://[::1]:5432/db",
        "postgresql://host:5432", "/home/ada/a.db", "a: b@c", "://", "",
        "mail ada@host about http://host:80/x", "file.py:scale M=4 password=none"})
    EXPECT_EQ(without_passwords(text), text);
}

TEST(Passwords, AreBlottedOutInPlace) {
  char argument[] = "--db=postgresql://ada:s3cret@host/db?password=x";
  blot_out_passwords(argument);
  EXPECT_STREQ(argument, "--db=postgresql://ada:******@host/db?password=*");
}

} // namespace
} // namespace temper
