// SPDX-License-Identifier: Apache-2.0
// Port-forward as kubelet and crictl use it, to real guests.
#include <list>
#include <thread>

#include "absl/time/clock.h"
#include "tests/integration/streaming_fixture.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

class PortForwardTest : public StreamingFixture {};

TEST_F(PortForwardTest, APageComesThroughTheForwardedPort) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  ASSERT_OK_AND_ASSIGN(const auto client, ForwardPorts(web.pod));
  EXPECT_EQ(client->protocol(), "portforward.k8s.io");
  ASSERT_OK_AND_ASSIGN(const Pair pair, Connect(*client, 80, 0));
  ASSERT_OK(client->Write(*pair.data, kGetRoot));
  ASSERT_OK_AND_ASSIGN(const std::string page, client->ReadToEnd(*pair.data));
  EXPECT_THAT(page, HasSubstr("200 OK"));
  EXPECT_THAT(page, HasSubstr(web.ip));
  // As kubectl: it resets the data stream when it has read it, and waits for
  // the end of the error stream.
  ASSERT_OK(client->Reset(*pair.data));
  ASSERT_OK_AND_ASSIGN(const std::string error, client->ReadToEnd(*pair.error));
  EXPECT_EQ(error, "");
}

TEST_F(PortForwardTest, ManyConnectionsShareOneClient) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  ASSERT_OK_AND_ASSIGN(const auto client, ForwardPorts(web.pod));
  std::list<Pair> pairs;
  for (int i = 0; i < 50; ++i) {
    ASSERT_OK_AND_ASSIGN(Pair pair, Connect(*client, 80, i));
    pairs.push_back(pair);
  }
  for (const Pair& pair : pairs) {
    ASSERT_OK(client->Write(*pair.data, kGetRoot, true));
  }
  for (const Pair& pair : pairs) {
    ASSERT_OK_AND_ASSIGN(const std::string page, client->ReadToEnd(*pair.data));
    EXPECT_THAT(page, HasSubstr(web.ip));
    EXPECT_OK(client->ReadToEnd(*pair.error));
  }
}

TEST_F(PortForwardTest, AClosedPortIsSaidOnTheErrorStreamAndHarmsNoOther) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  ASSERT_OK_AND_ASSIGN(const auto client, ForwardPorts(web.pod));
  ASSERT_OK_AND_ASSIGN(const Pair closed, Connect(*client, 81, 0));
  ASSERT_OK_AND_ASSIGN(const std::string error,
                       client->ReadToEnd(*closed.error));
  EXPECT_THAT(error, HasSubstr("port 81"));
  EXPECT_THAT(error, HasSubstr(web.ip));
  EXPECT_THAT(error, HasSubstr("Connection refused"));
  ASSERT_OK(client->PumpUntil([&] { return closed.data->over(); }));
  ASSERT_OK_AND_ASSIGN(const Pair open, Connect(*client, 80, 1));
  ASSERT_OK(client->Write(*open.data, kGetRoot));
  EXPECT_OK(client->ReadToEnd(*open.data));
}

TEST_F(PortForwardTest, TheClientsEndReachesThePodAndItsAnswerTheClient) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  ASSERT_OK_AND_ASSIGN(const auto client, ForwardPorts(web.pod));
  ASSERT_OK_AND_ASSIGN(const Pair pair, Connect(*client, 80, 0));
  // The answer is long, and all of it comes after our end was closed.
  ASSERT_OK(client->Write(*pair.data, "GET /bytes?n=300000 HTTP/1.1\r\n\r\n"));
  ASSERT_OK(client->Write(*pair.data, "", true));
  BytesChecker checker;
  pair.data->sink = [&](absl::string_view data) { checker.Take(data); };
  ASSERT_OK(client->PumpUntil([&] { return pair.data->over(); }));
  EXPECT_TRUE(pair.data->ended);
  EXPECT_EQ(checker.size(), 300000U);
  EXPECT_TRUE(checker.right());
  ASSERT_OK_AND_ASSIGN(const std::string error, client->ReadToEnd(*pair.error));
  EXPECT_EQ(error, "");
}

TEST_F(PortForwardTest, AHundredDownloadsOfTenMegabytesArriveWhole) {
  constexpr size_t kClients = 4;
  constexpr size_t kDownloadsOfEach = 25;
  constexpr uint64_t kSize = 10'000'000;
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  const absl::Time start = absl::Now();
  const auto download = [&](BytesChecker* checkers) {
    ASSERT_OK_AND_ASSIGN(const auto client, ForwardPorts(web.pod));
    std::vector<Pair> pairs;
    for (size_t i = 0; i < kDownloadsOfEach; ++i) {
      ASSERT_OK_AND_ASSIGN(const Pair pair,
                           Connect(*client, 80, static_cast<int>(i)));
      pair.data->sink = [checker = checkers + i](absl::string_view data) {
        checker->Take(data);
      };
      ASSERT_OK(client->Write(
          *pair.data, absl::StrCat("GET /bytes?n=", kSize,
                                   " HTTP/1.1\r\nConnection: close\r\n\r\n")));
      pairs.push_back(pair);
    }
    for (const Pair& pair : pairs) {
      ASSERT_OK(client->PumpUntil([&] { return pair.data->over(); },
                                  absl::Minutes(4)));
      EXPECT_TRUE(pair.data->ended);
      EXPECT_OK(client->Write(*pair.data, "", true));
      ASSERT_OK_AND_ASSIGN(const std::string error,
                           client->ReadToEnd(*pair.error));
      EXPECT_EQ(error, "");
    }
  };
  std::vector<BytesChecker> checkers(kClients * kDownloadsOfEach);
  std::vector<std::thread> clients;
  for (size_t i = 0; i < kClients; ++i) {
    clients.emplace_back(download, &checkers[i * kDownloadsOfEach]);
  }
  for (std::thread& client : clients) client.join();
  for (const BytesChecker& checker : checkers) {
    EXPECT_EQ(checker.size(), kSize) << checker.head();
    EXPECT_TRUE(checker.right());
  }
  RecordProperty("seconds",
                 absl::StrCat(absl::ToDoubleSeconds(absl::Now() - start)));
}

TEST_F(PortForwardTest, AUrlServesOnce) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  ASSERT_OK_AND_ASSIGN(const std::string url, PortForwardUrl(web.pod));
  ASSERT_OK(SpdyClient::Connect(url, {"portforward.k8s.io"}));
  const auto again = SpdyClient::Connect(url, {"portforward.k8s.io"});
  EXPECT_THAT(std::string(again.status().message()), HasSubstr("404"));
  EXPECT_THAT(std::string(again.status().message()), HasSubstr("served once"));
}

TEST_F(PortForwardTest, AStoppedPodForwardsNothing) {
  ASSERT_OK_AND_ASSIGN(const auto web, RunWeb("web"));
  ASSERT_OK_AND_ASSIGN(const auto client, ForwardPorts(web.pod));
  ASSERT_OK(node_->StopPod(web.pod));
  ASSERT_OK_AND_ASSIGN(const Pair pair, Connect(*client, 80, 0));
  ASSERT_OK_AND_ASSIGN(const std::string error, client->ReadToEnd(*pair.error));
  EXPECT_THAT(error, HasSubstr("is stopped"));
  EXPECT_EQ(PortForwardUrl(web.pod).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(PortForwardUrl("nosuchpod").status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace serai::testing
