// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/digest.h"

#include <fcntl.h>

#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::oci {
namespace {

using testing::HasStatus;

// FIPS 180-4's example "abc".
constexpr char kAbc[] =
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(DigestTest, HashesAsTheStandardSays) {
  EXPECT_EQ(DigestOf("abc").ToString(), kAbc);
}

TEST(DigestTest, HashesAStreamInPieces) {
  Sha256 hash;
  hash.Update("a");
  hash.Update("");
  hash.Update("bc");
  EXPECT_EQ(hash.Finish().ToString(), kAbc);
}

TEST(DigestTest, HashesTheRestOfAFile) {
  const testing::TempDir dir;
  ASSERT_OK(WriteFileAtomic(dir / "f", "abc"));
  ASSERT_OK_AND_ASSIGN(const UniqueFd fd, OpenFile(dir / "f", O_RDONLY));
  ASSERT_OK_AND_ASSIGN(const Digest digest, DigestOfFile(fd.get()));
  EXPECT_EQ(digest.ToString(), kAbc);
}

TEST(DigestTest, ParsesItsOwnForm) {
  ASSERT_OK_AND_ASSIGN(const Digest digest, Digest::Parse(kAbc));
  EXPECT_EQ(digest.ToString(), kAbc);
  EXPECT_EQ(digest.hex().size(), 64u);
  EXPECT_TRUE(Digest().empty());
  EXPECT_TRUE(Digest().hex().empty());
}

TEST(DigestTest, RefusesWhatCouldBeAPathOrAnotherForm) {
  for (const std::string& bad :
       {std::string(), std::string("sha256:"), std::string(kAbc) + "0",
        std::string("sha256:") + std::string(61, 'a') + "/..",
        std::string("sha256:") + std::string(64, 'A'),
        std::string("sha512:") + std::string(128, 'a'), std::string(64, 'a')}) {
    EXPECT_THAT(Digest::Parse(bad),
                HasStatus(absl::StatusCode::kInvalidArgument, "digest"))
        << bad;
  }
}

}  // namespace
}  // namespace serai::oci
