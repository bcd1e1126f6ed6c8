// SPDX-License-Identifier: Apache-2.0
#include "cri/passthrough/answers.h"

#include "tests/cri/passthrough/fake_server.h"
#include "tests/cri/passthrough/wire.h"
#include "tests/support/status_matchers.h"

namespace serai::cri {
namespace {

using ::serai::testing::BufferOf;
using ::serai::testing::Bytes;
using ::serai::testing::BytesOf;

constexpr auto kUnavailable = grpc::StatusCode::UNAVAILABLE;
constexpr auto kUnimplemented = grpc::StatusCode::UNIMPLEMENTED;

Answered Ok(const std::string& message) {
  return Answered{grpc::Status::OK, BufferOf(message)};
}

Answered Failed(grpc::StatusCode code) {
  return Answered{grpc::Status(code, "why"), {}};
}

std::string Merged(Kind kind, const Answered& ours, const Answered& theirs) {
  const Answered merged = Merge(kind, ours, theirs);
  return merged.status.ok()
             ? BytesOf(merged.message)
             : absl::StrCat("error ", merged.status.error_code());
}

std::string Error(grpc::StatusCode code) {
  return absl::StrCat("error ", code);
}

TEST(AnswersTest, AListFailsWhenOneOfTheTwoFails) {
  EXPECT_EQ(Merged(Kind::kList, Ok("a"), Ok("b")), "ab");
  EXPECT_EQ(Merged(Kind::kList, Ok(""), Ok("")), "");
  EXPECT_EQ(Merged(Kind::kList, Ok("a"), Failed(kUnavailable)),
            Error(kUnavailable));
  EXPECT_EQ(Merged(Kind::kList, Failed(grpc::StatusCode::INTERNAL), Ok("b")),
            Error(grpc::StatusCode::INTERNAL));
  // kubelet has another way to learn what a list of stats lacks.
  EXPECT_EQ(Merged(Kind::kList, Ok("a"), Failed(kUnimplemented)),
            Error(kUnimplemented));
}

TEST(AnswersTest, MetricsAreThoseOfWhoHasSome) {
  EXPECT_EQ(Merged(Kind::kMetrics, Ok("a"), Ok("b")), "ab");
  EXPECT_EQ(Merged(Kind::kMetrics, Ok("a"), Failed(kUnimplemented)), "a");
  EXPECT_EQ(Merged(Kind::kMetrics, Failed(kUnimplemented), Ok("b")), "b");
  EXPECT_EQ(
      Merged(Kind::kMetrics, Failed(kUnimplemented), Failed(kUnimplemented)),
      Error(kUnimplemented));
  EXPECT_EQ(Merged(Kind::kMetrics, Ok("a"), Failed(kUnavailable)),
            Error(kUnavailable));
}

TEST(AnswersTest, ADescriptorOfBothComesOnce) {
  const std::string cpu = Bytes(1, Bytes(1, "cpu") + Bytes(2, "theirs"));
  const std::string our_cpu = Bytes(1, Bytes(1, "cpu") + Bytes(2, "ours"));
  const std::string memory = Bytes(1, Bytes(1, "memory"));
  const std::string net = Bytes(1, Bytes(1, "net"));
  const std::string unknown = Bytes(9, "kept");
  EXPECT_EQ(
      Merged(Kind::kDescriptors, Ok(our_cpu + net), Ok(cpu + unknown + memory)),
      cpu + unknown + memory + net);
  EXPECT_EQ(Merged(Kind::kDescriptors, Ok(net), Failed(kUnimplemented)), net);
  EXPECT_EQ(Merged(Kind::kDescriptors, Ok(net), Ok("\xff")),
            Error(grpc::StatusCode::INTERNAL));
}

TEST(AnswersTest, TheRuntimesConfigurationIsContainerds) {
  EXPECT_EQ(Merged(Kind::kRuntimeConfig, Ok("a"), Ok("b")), "b");
  EXPECT_EQ(Merged(Kind::kRuntimeConfig, Ok("a"), Failed(kUnimplemented)), "a");
  EXPECT_EQ(Merged(Kind::kRuntimeConfig, Ok("a"), Failed(kUnavailable)),
            Error(kUnavailable));
}

TEST(AnswersTest, AnUpdateHasToReachBoth) {
  EXPECT_EQ(Merged(Kind::kUpdate, Ok("a"), Ok("b")), "b");
  EXPECT_EQ(Merged(Kind::kUpdate, Failed(kUnavailable), Ok("b")),
            Error(kUnavailable));
  EXPECT_EQ(Merged(Kind::kUpdate, Ok("a"), Failed(kUnavailable)),
            Error(kUnavailable));
}

TEST(AnswersTest, AStatusOfContainerdsThatIsNoMessageIsItsFailure) {
  const Answered merged = Merge(Kind::kStatus, Ok(""), Ok("\xff"));
  ASSERT_TRUE(merged.status.ok());
  EXPECT_THAT(BytesOf(merged.message), ::testing::HasSubstr("ContainerdFails"));
}

}  // namespace
}  // namespace serai::cri
