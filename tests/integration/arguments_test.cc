// SPDX-License-Identifier: Apache-2.0
// What guests are told: of their network and themselves, by arguments and by
// DHCP; and that every word of a pod's author arrives as it was written.
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/base/deadline.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_node.h"

namespace serai::testing {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr char kNetworkArgs[] = "serai.dev/network-args";

using Words = std::vector<std::string>;

class ArgumentsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    SERAI_NEED("net");
    NodeOptions options;
    options.chained = {};
    node_ = std::make_unique<TestNode>(options);
  }

  std::string Load(const std::string& guest) {
    const auto image = node_->LoadGuests(guest, {guest + ".spt"});
    EXPECT_OK(image);
    return image.value_or("");
  }

  absl::StatusOr<CriClient::Running> Run(const cri::PodSandboxConfig& pod,
                                         const std::string& image,
                                         const Words& args = {}) {
    CriClient::Running running;
    ASSIGN_OR_RETURN(running.pod, node_->RunPod(pod));
    ASSIGN_OR_RETURN(const auto status, node_->PodStatusOf(running.pod));
    running.ip = status.network().ip();
    ASSIGN_OR_RETURN(
        running.container,
        node_->Create(running.pod, node_->ContainerConfig(image, args)));
    RETURN_IF_ERROR(node_->StartContainer(running.container));
    return running;
  }

  cri::PodSandboxConfig Pod(const std::string& name,
                            const std::string& network_args = "") {
    cri::PodSandboxConfig pod = node_->PodConfig(name);
    if (!network_args.empty()) {
      (*pod.mutable_annotations())[kNetworkArgs] = network_args;
    }
    return pod;
  }

  // What the guest printed, without the log's own words.
  std::string Output(const std::string& container) {
    const auto status = node_->StatusOf(container);
    EXPECT_OK(status);
    const auto log = ReadFile(status->log_path(), 16 << 20);
    if (!log.ok()) return "";
    std::string output;
    for (const absl::string_view line : absl::StrSplit(*log, '\n')) {
      const std::vector<absl::string_view> parts =
          absl::StrSplit(line, absl::MaxSplits(' ', 3));
      if (parts.size() < 4 || parts[1] != "stdout") continue;
      absl::StrAppend(&output, parts[3], parts[2] == "F" ? "\n" : "");
    }
    return output;
  }
  std::string WaitForOutput(const std::string& container,
                            const std::string& text) {
    const Deadline deadline(absl::Seconds(20));
    std::string output;
    while (!absl::StrContains(output = Output(container), text) &&
           !deadline.Passed()) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    return output;
  }

  // The words that arrive at a guest.
  Words Arriving(const Words& sent, const std::string& image) {
    const auto run =
        Run(Pod(absl::StrCat("words-", ++pods_), "none"), image, sent);
    EXPECT_OK(run);
    if (!run.ok()) return {};
    EXPECT_OK(node_->WaitExited(run->container));
    Words words;
    const std::string output = Output(run->container);
    for (absl::string_view line : absl::StrSplit(output, '\n')) {
      if (absl::ConsumePrefix(&line, "word ")) {
        words.push_back(absl::HexStringToBytes(line));
      }
    }
    EXPECT_THAT(output, HasSubstr("SUCCESS"));
    EXPECT_OK(node_->StopPod(run->pod));
    EXPECT_OK(node_->RemovePod(run->pod));
    return words;
  }

  std::vector<std::string> Answers() {
    return ListDir(node_->root() + "/options").value_or(Words());
  }

  std::unique_ptr<TestNode> node_;
  int pods_ = 0;
};

// Whether the guest at `ip` sends back what it is sent.
bool Echoes(const std::string& ip) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const timeval patience = {0, 200'000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
               sizeof(patience));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(7);
  ::inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
  const Deadline deadline(absl::Seconds(10));
  while (!deadline.Passed()) {
    char byte = 'x';
    ::sendto(socket.get(), &byte, 1, 0,
             reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    byte = 0;
    if (::recv(socket.get(), &byte, 1, 0) == 1 && byte == 'x') return true;
  }
  return false;
}

TEST_F(ArgumentsTest, AGuestIsToldWhatItTakesAndNothingElse) {
  node_->Start();
  const std::string image = Load("web");
  cri::PodSandboxConfig pod = Pod("told");
  pod.mutable_dns_config()->add_servers("10.96.0.10");
  pod.mutable_dns_config()->add_servers("fd00::a");
  ASSERT_OK_AND_ASSIGN(const auto web, Run(pod, image));
  ASSERT_OK(HttpGetRetried(web.ip, 80, "/"));
  const std::string output = Output(web.container);
  EXPECT_THAT(output, HasSubstr("web: called told\n"));
  EXPECT_THAT(output, HasSubstr("web: name servers tcp:10.96.0.10\n"));
  EXPECT_THAT(output, HasSubstr(absl::StrCat("http://", web.ip, ":80/")));
  ASSERT_OK_AND_ASSIGN(const std::string bundle,
                       ReadFile(absl::StrCat(node_->state(), "/containers/",
                                             web.container, "/config.json"),
                                1 << 20));
  EXPECT_THAT(bundle, HasSubstr("\"--ipv4-only=true\""));
  EXPECT_THAT(bundle, Not(HasSubstr("--ipv6")));

  // The user's word is the last.
  ASSERT_OK_AND_ASSIGN(
      const auto named,
      Run(Pod("other"), image, {"--name=mine", "--dns-servers=tls:1.1.1.1"}));
  ASSERT_OK(HttpGetRetried(named.ip, 80, "/"));
  EXPECT_THAT(Output(named.container), HasSubstr("web: called mine\n"));
  EXPECT_THAT(Output(named.container), HasSubstr("servers tls:1.1.1.1\n"));
}

TEST_F(ArgumentsTest, AGuestWithoutAnAnswerRunsAllTheSame) {
  node_->Start();
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("hello", Load("hello")));
  ASSERT_OK(node_->WaitExited(run.container));
  EXPECT_THAT(Output(run.container), HasSubstr("command line: \n"));
  // Nor one that does not end, which costs its own pod a moment.
  ASSERT_OK_AND_ASSIGN(const auto deaf, node_->Run("deaf", Load("deaf")));
  EXPECT_THAT(WaitForOutput(deaf.container, "running"), HasSubstr("running"));
  EXPECT_THAT(node_->DaemonLog(), HasSubstr("asking /app.spt of image"));
  // Neither is kept as the image's answer.
  EXPECT_THAT(Answers(), SizeIs(0));
}

TEST_F(ArgumentsTest, PodsOfAnImageAskOnceAndItsAnswerGoesWithIt) {
  const std::string asked = node_->directory() + "/asked";
  const std::string tender = node_->directory() + "/tender";
  ASSERT_OK(WriteFileAtomic(
      tender,
      absl::StrCat("#!/bin/sh\ncase \"$*\" in *--help=plain) echo asked >> ",
                   asked, ";; esac\nexec ", BuildDir(),
                   "/bin/serai-tender \"$@\"\n"),
      0755));
  ASSERT_OK(MakeDirs(node_->directory() + "/config.toml.d"));
  ASSERT_OK(WriteFileAtomic(
      node_->directory() + "/config.toml.d/tender.toml",
      absl::StrCat("version = 1\n[programs]\ntender = \"", tender, "\"\n")));
  node_->Start();
  const std::string image = Load("web");
  std::vector<std::thread> creators;
  for (int i = 0; i < 4; ++i) {
    creators.emplace_back([&, i] {
      const auto pod = node_->RunPod(absl::StrCat("pod-", i));
      EXPECT_OK(pod);
      if (!pod.ok()) return;
      EXPECT_OK(node_->Create(*pod, node_->ContainerConfig(image, {})));
    });
  }
  for (std::thread& creator : creators) creator.join();
  ASSERT_OK_AND_ASSIGN(const std::string once, ReadFile(asked, 1000));
  EXPECT_EQ(once, "asked\n");
  ASSERT_THAT(Answers(), SizeIs(1));

  // A damaged file is no answer.
  ASSERT_OK(WriteFileAtomic(node_->root() + "/options/" + Answers()[0], "{"));
  ASSERT_OK(node_->Run("another", image));
  ASSERT_OK_AND_ASSIGN(const std::string twice, ReadFile(asked, 1000));
  EXPECT_EQ(twice, "asked\nasked\n");
  for (const auto& pod : node_->Pods()) EXPECT_OK(node_->RemovePod(pod.id()));
  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image(image);
  cri::RemoveImageResponse removed;
  Call call;
  ASSERT_TRUE(node_->images().RemoveImage(call.get(), remove, &removed).ok());
  node_->Stop(SIGTERM);
  node_->Start();
  EXPECT_THAT(Answers(), SizeIs(0));
}

TEST_F(ArgumentsTest, AGuestWithoutAnOptionForItsAddressGetsItByDhcp) {
  node_->Start();
  const std::string image = Load("dhcp");
  cri::PodSandboxConfig pod = Pod("leased");
  pod.mutable_dns_config()->add_servers("10.96.0.10");
  ASSERT_OK_AND_ASSIGN(const auto run, Run(pod, image));
  const std::string output = WaitForOutput(run.container, "listening");
  EXPECT_THAT(output, HasSubstr(absl::StrCat("dhcp: address ", run.ip, ", ")));
  EXPECT_THAT(output, HasSubstr("mask 255.255.255.0"));
  EXPECT_THAT(output, HasSubstr("seconds 4294967295, mtu 1500, routes 0, "
                                "name 'leased'"));
  EXPECT_THAT(output, HasSubstr("dhcp: name server 10.96.0.10\n"));
  EXPECT_TRUE(Echoes(run.ip));
  ASSERT_OK_AND_ASSIGN(const auto refused,
                       Run(Pod("refused"), image, {"--request=10.255.255.1"}));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->WaitExited(refused.container));
  EXPECT_EQ(status.exit_code(), 2) << Output(refused.container);
}

TEST_F(ArgumentsTest, TheAnnotationChoosesHowAGuestIsTold) {
  node_->Start();
  const std::string hello = Load("hello");
  auto config = node_->ContainerConfig(hello, {"-c", "a \"b\""});
  auto* variable = config.add_envs();
  variable->set_key("A");
  variable->set_value("x y");
  config.set_working_dir("/srv");
  ASSERT_OK_AND_ASSIGN(const std::string pod,
                       node_->RunPod(Pod("rump", "rumprun")));
  ASSERT_OK_AND_ASSIGN(const std::string id, node_->Create(pod, config));
  ASSERT_OK(node_->StartContainer(id));
  ASSERT_OK(node_->WaitExited(id));
  EXPECT_THAT(Output(id),
              HasSubstr(R"(command line: {"cmdline":"app.spt -c a\\ \\\"b\\\"")"
                        R"(,"env":"A=x y","cwd":"/srv"})"
                        "\n"));

  // A guest that would take an argument asks in vain for nothing else.
  ASSERT_OK_AND_ASSIGN(const auto web, Run(Pod("web", "dhcp"), Load("web")));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->WaitExited(web.container));
  EXPECT_EQ(status.exit_code(), 64);
  EXPECT_THAT(Run(Pod("bad", "yes"), hello),
              HasStatus(kInvalid, "\"rumprun\", \"dhcp\" or \"none\""));
}

TEST_F(ArgumentsTest, EveryWordArrivesAsItWasWritten) {
  node_->Start();
  const std::string image = Load("words");
  const Words odd = {"",       " ",        "\"",    "\\",     "'",
                     "a b",    "\\\\n",    "a\nb",  "\t\r\n", "--x=\"y z\"",
                     "ö ü",    "\x01\x7f", "$HOME", "`x`",    "\\\"",
                     "\u20ac", "\\ ",      "  x  ", "=",      "-"};
  EXPECT_THAT(Arriving(odd, image), ElementsAreArray(odd));
  std::mt19937 random(20);  // NOLINT(cert-msc32-c,cert-msc51-cpp)
  const Words alphabet = {"a", " ", "\"", "\\",     "'",  "\n",   "\t", "\x01",
                          "ö", "-", "=",  "\u4e2d", "\r", "\x7f", "#",  "{"};
  for (int round = 0; round < 10; ++round) {
    Words sent(random() % 40);
    for (std::string& word : sent) {
      for (size_t i = random() % 30; i > 0; --i) {
        word += alphabet[random() % alphabet.size()];
      }
    }
    EXPECT_THAT(Arriving(sent, image), ElementsAreArray(sent));
  }
}

TEST_F(ArgumentsTest, WhatCanNotArriveIsRefused) {
  node_->Start();
  const std::string image = Load("words");
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("refused"));
  const auto create = [&](const std::string& arg) {
    return node_->Create(pod, node_->ContainerConfig(image, {arg})).status();
  };
  EXPECT_THAT(create(std::string("--a=\0b", 6)),
              HasStatus(kInvalid, "the argument \"--a=\" goes on with a NUL"));
  EXPECT_THAT(create(std::string(5000, ' ')),
              HasStatus(kInvalid, "arguments are 10000 bytes long"));
  // protobuf's strings are UTF-8, and its parser does not let others in.
  EXPECT_FALSE(create("\xff\xfe").ok());
  EXPECT_TRUE(node_->Containers().empty());
  EXPECT_OK(create(std::string(8191, 'x')));
}

}  // namespace
}  // namespace serai::testing
