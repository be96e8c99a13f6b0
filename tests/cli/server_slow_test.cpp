// Commands whose database is on a server; tests/database/postgres.sh starts one.
#include "tests/cli/shell.h"

namespace temper::testing {
namespace {

TEST(Server, APasswordIsNowhereInWhatARunLeaves) {
  const char* url = std::getenv("TEMPER_TEST_POSTGRES");
  if (url == nullptr)
    GTEST_SKIP() << "no server: run it by tests/database/postgres.sh";
  std::string address = url; // postgresql://user@host:port/name; it lets the user in without one
  ASSERT_NE(address.find('@'), std::string::npos) << address;
  address.insert(address.find('@'), ":s3cret");
  const Shell shell;
  shell.write("scale.py", kScale);
  const Ran tuned =
      shell.run("temper tune scale.py M=16 N=16 --trials 2 --seed 1 --db '" + address + "'");
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  const Ran listed = shell.run("temper list runs --json --db '" + address + "'");
  EXPECT_NE(listed.list("runs").at(0).value("command", "").find(":***@"), std::string::npos)
      << listed.out;
  ASSERT_EQ(shell.run("temper dump -o all.jsonl --db '" + address + "'").code, 0);
  ASSERT_EQ(shell.run("temper report --out page.html --db '" + address + "'").code, 0);
  for (const char* file : {"all.jsonl", "page.html"}) {
    const std::string text = read_file(shell.folder() / file).value_or("");
    EXPECT_NE(text.find("scale"), std::string::npos) << file;
    EXPECT_EQ(text.find("s3cret"), std::string::npos) << file;
  }
  EXPECT_EQ((tuned.out + tuned.err + listed.out).find("s3cret"), std::string::npos);
}

} // namespace
} // namespace temper::testing
