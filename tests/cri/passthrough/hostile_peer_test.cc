// SPDX-License-Identifier: Apache-2.0
// Clients and a containerd that don't do as they should.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "lib/base/unique_fd.h"
#include "tests/cri/passthrough/router_fixture.h"
#include "tests/cri/passthrough/wire.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

// HTTP/2 below gRPC, which would not send this itself.
std::string Http2Frame(int type, int flags, int stream,
                       const std::string& payload) {
  const auto size = static_cast<int>(payload.size());
  std::string frame;
  for (const int byte :
       {size >> 16, size >> 8, size, type, flags, 0, 0, 0, stream}) {
    frame.push_back(static_cast<char>(byte));
  }
  return frame + payload;
}

// A literal header (RFC 7541, 6.2.2).
std::string Header(const std::string& name, const std::string& value) {
  std::string header(1, '\0');
  for (const std::string& text : {name, value}) {
    header.push_back(static_cast<char>(text.size()));
    header += text;
  }
  return header;
}

TEST_F(RouterTest, MetadataThatGrpcWouldNotSendIsLeftOut) {
  containerd_.On("/of.the.Future/Chat", Reply());
  const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = AddressOf(directory_ / "seraid.sock");
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address),
                      sizeof(address)),
            0);
  const std::string headers =
      Header(":method", "POST") + Header(":scheme", "http") +
      Header(":path", "/of.the.Future/Chat") + Header(":authority", "x") +
      Header("content-type", "application/grpc") + Header("te", "trailers") +
      Header("kept", "k") + Header("dropped", "caf\xc3\xa9") +
      Header("torn", "a\tb");
  const std::string bytes =
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Http2Frame(4, 0, 0, "") +
      Http2Frame(1, 4, 1, headers) + Http2Frame(0, 1, 1, std::string(5, '\0'));
  ASSERT_EQ(::write(client.get(), bytes.data(), bytes.size()),
            static_cast<ssize_t>(bytes.size()));
  ASSERT_TRUE(containerd_.WaitFor(1));
  const Metadata metadata = containerd_.received()[0].metadata;
  EXPECT_THAT(metadata, Contains(Key("kept")));
  EXPECT_THAT(metadata, Not(Contains(Key("dropped"))));
  EXPECT_THAT(metadata, Not(Contains(Key("torn"))));
}

TEST_F(RouterTest, AnAnswerThatNobodyReadsHoldsBackContainerd) {
  constexpr int kMessages = 64;
  Reply reply;
  reply.messages.assign(kMessages, std::string(1 << 20, 'm'));
  for (const std::string& method :
       {std::string("/of.the.Future/Watch"), Method("StreamContainers")}) {
    containerd_.On(method, reply);
    const int before = containerd_.written();
    GenericCall call(channel_, method);
    call.Write("");
    call.WritesDone();
    // As far as it goes.
    for (int last = -1; last != containerd_.written();) {
      last = containerd_.written();
      absl::SleepFor(absl::Milliseconds(500));
    }
    EXPECT_LT(containerd_.written() - before, kMessages / 2) << method;
    std::string message;
    for (int i = 0; i < kMessages; ++i) {
      ASSERT_TRUE(call.Read(message)) << method << " " << i;
      ASSERT_EQ(message.size(), size_t{1} << 20);
    }
    call.context().TryCancel();
    call.Finish();
  }
}

TEST_F(RouterTest, AContainerdThatAcceptsAndIsSilentDoesNotAnswer) {
  containerd_.Stop();
  ::unlink(containerd_socket_.c_str());
  const UniqueFd silent(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = AddressOf(containerd_socket_);
  ASSERT_EQ(::bind(silent.get(), reinterpret_cast<const sockaddr*>(&address),
                   sizeof(address)),
            0);
  ASSERT_EQ(::listen(silent.get(), 16), 0);
  const absl::Time begin = absl::Now();
  GenericCall list(channel_, Method("ListPodSandbox"));
  list.Write("");
  list.WritesDone();
  // Ours does not wait for it.
  EXPECT_TRUE(
      Exchange(Method("PodSandboxStatus"), {Bytes(1, kOurPod)}).status.ok());
  EXPECT_LT(absl::Now() - begin, absl::Seconds(3));
  const grpc::Status status = list.Finish().status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("does not answer"));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(15));
  EXPECT_EQ(StatusOfNode().status().conditions(0).reason(),
            "ContainerdUnavailable");
}

}  // namespace
}  // namespace serai::testing
