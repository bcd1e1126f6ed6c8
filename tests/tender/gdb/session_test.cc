// SPDX-License-Identifier: Apache-2.0
#include "tender/gdb/session.h"

#include <signal.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tender/gdb/fake_machine.h"

namespace serai::tender::gdb {
namespace {

using testing::FakeStream;
using testing::FakeTarget;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Frame(const std::string& payload) {
  PacketWriter writer;
  return std::string(writer.Text(payload).Finish());
}

class SessionTest : public ::testing::Test {
 protected:
  // Does what `packets` say until one of them, or the end, lets the machine
  // go on.
  Resume Serve(const std::vector<std::string>& packets,
               const Stop& stop = {SIGTRAP}) {
    for (const std::string& packet : packets) stream_.Add(Frame(packet));
    return session_.Serve(stop);
  }
  // What one packet is answered, without the acknowledgement and the frame.
  std::string Ask(const std::string& packet) {
    stream_.TakeOutput();
    Serve({packet, "s"});
    std::string answer = stream_.TakeOutput();
    // The stop that Serve() tells of comes first, but for the first time.
    answer.erase(0, answer.find('+') + 2);
    answer.erase(answer.find('#'));
    return answer;
  }

  FakeTarget target_;
  FakeStream stream_{""};
  Session session_{&target_, &stream_};
};

TEST_F(SessionTest, AcknowledgesAndAnswers) {
  Serve({"?", "c"}, {SIGINT});
  EXPECT_EQ(stream_.TakeOutput(), "+" + Frame("T02thread:1;") + "+");
}

TEST_F(SessionTest, WithoutAcknowledgementsWhereWanted) {
  Serve({"QStartNoAckMode", "qAttached", "c"});
  EXPECT_EQ(stream_.TakeOutput(), "+" + Frame("OK") + Frame("1"));
}

TEST_F(SessionTest, AnswersWhatItDoesNotKnowWithNothing) {
  EXPECT_EQ(Ask("y"), "");
  EXPECT_EQ(Ask(""), "");
  EXPECT_EQ(Ask("qNonsense"), "");
  EXPECT_EQ(Ask("vNonsense"), "");
}

TEST_F(SessionTest, SaysWhatItCan) {
  EXPECT_THAT(Ask("qSupported:swbreak+"),
              ::testing::AllOf(HasSubstr("PacketSize=1000"),
                               HasSubstr("qXfer:features:read+"),
                               HasSubstr("swbreak+")));
  EXPECT_EQ(Ask("vCont?"), "vCont;c;C;s;S");
  EXPECT_EQ(Ask("qfThreadInfo"), "m1");
  EXPECT_EQ(Ask("qsThreadInfo"), "l");
}

TEST_F(SessionTest, DescribesTheRegistersPieceByPiece) {
  std::string document;
  std::string part;
  do {
    PacketWriter offset;
    part = Ask("qXfer:features:read:target.xml:" +
               std::string(offset.Hex(document.size()).Finish())
                   .substr(1, offset.Finish().size() - 4) +
               ",400");
    ASSERT_THAT(part, ::testing::AnyOf(StartsWith("m"), StartsWith("l")));
    ASSERT_LE(part.size(), 0x401u);
    document += part.substr(1);
  } while (part[0] == 'm');
  EXPECT_EQ(document, TargetDescription());
  EXPECT_EQ(Ask("qXfer:features:read:target.xml:ffffff,10"), "E01");
  EXPECT_EQ(Ask("qXfer:features:read:other.xml:0,10"), "");
}

TEST_F(SessionTest, ReadsAndWritesRegisters) {
  target_.registers().general[1] = 0x1122;
  EXPECT_EQ(Ask("p1"), "2211000000000000");
  EXPECT_EQ(Ask("P10=efcdab0000000000"), "OK");
  EXPECT_EQ(target_.registers().rip, 0xabcdefu);
  const std::string all = Ask("g");
  EXPECT_EQ(all.size(), 2 * sizeof(Registers));
  EXPECT_EQ(all.substr(16, 16), "2211000000000000");
  EXPECT_EQ(Ask("G" + std::string(2 * sizeof(Registers), '1')), "OK");
  EXPECT_EQ(target_.registers().mxcsr, 0x11111111u);
}

TEST_F(SessionTest, RefusesRegistersThatAreNotThere) {
  EXPECT_EQ(Ask("p3b"), "E01");
  EXPECT_EQ(Ask("p"), "E01");
  EXPECT_EQ(Ask("P3b=00"), "E01");
  EXPECT_EQ(Ask("P1=00"), "E01");
  EXPECT_EQ(Ask("P1"), "E01");
  EXPECT_EQ(Ask("G00"), "E01");
}

TEST_F(SessionTest, ReadsAndWritesMemory) {
  target_.memory()[2] = 0x7f;
  EXPECT_EQ(Ask("m1000,4"), "00007f00");
  EXPECT_EQ(Ask("M1001,2:abcd"), "OK");
  EXPECT_EQ(Ask("X1003,2:}]x"), "OK");
  EXPECT_EQ(Ask("X1003,0:"), "OK");
  EXPECT_EQ(Ask("m1000,6"), "00abcd7d7800");
}

TEST_F(SessionTest, RefusesMemoryThatIsNotThere) {
  EXPECT_EQ(Ask("mfff,1"), "E01");
  EXPECT_EQ(Ask("m103f,2"), "E01");
  EXPECT_EQ(Ask("mffffffffffffffff,2"), "E01");
  EXPECT_EQ(Ask("m1000,ffffffffffffffff"), "E01");
  EXPECT_EQ(Ask("m1000"), "E01");
  EXPECT_EQ(Ask("M1000,2:ab"), "E01");
  EXPECT_EQ(Ask("M1000,1:abcd"), "E01");
  EXPECT_EQ(Ask("M1000,ffffffffffffffff:ab"), "E01");
}

TEST_F(SessionTest, SetsBreakpoints) {
  EXPECT_EQ(Ask("Z0,1004,1"), "OK");
  EXPECT_EQ(Ask("Z2,1008,8"), "OK");
  EXPECT_EQ(target_.points().size(), 2u);
  EXPECT_EQ(Ask("z0,1004,1"), "OK");
  EXPECT_EQ(target_.points().size(), 1u);
  EXPECT_EQ(Ask("Z0,1,1"), "E01");
  EXPECT_EQ(Ask("Z3,1004,1"), "");
  EXPECT_EQ(Ask("Z9,1004,1"), "");
  EXPECT_EQ(Ask("Z0,1004"), "E01");
}

struct ResumeCase {
  const char* packet;
  Resume::Action action;
  int signal;
};
class ResumeTest : public SessionTest,
                   public ::testing::WithParamInterface<ResumeCase> {};

INSTANTIATE_TEST_SUITE_P(
    Packets, ResumeTest,
    ::testing::Values(ResumeCase{"c", Resume::Action::kContinue, 0},
                      ResumeCase{"s", Resume::Action::kStep, 0},
                      ResumeCase{"C0b", Resume::Action::kContinue, SIGSEGV},
                      ResumeCase{"S0a", Resume::Action::kStep, SIGBUS},
                      ResumeCase{"vCont;c", Resume::Action::kContinue, 0},
                      ResumeCase{"vCont;s:1;c", Resume::Action::kStep, 0},
                      ResumeCase{"vCont;s:2;c", Resume::Action::kContinue, 0},
                      ResumeCase{"vCont;C08:-1", Resume::Action::kContinue,
                                 SIGFPE},
                      ResumeCase{"D", Resume::Action::kLeave, 0},
                      ResumeCase{"D;1", Resume::Action::kLeave, 0},
                      ResumeCase{"k", Resume::Action::kKill, 0},
                      ResumeCase{"vKill;1", Resume::Action::kKill, 0}));

TEST_P(ResumeTest, LetsTheMachineGoOn) {
  const Resume resume = Serve({GetParam().packet});
  EXPECT_EQ(resume.action, GetParam().action);
  EXPECT_EQ(resume.signal, GetParam().signal);
}

TEST_F(SessionTest, RefusesToGoOnInWaysItDoesNotKnow) {
  EXPECT_EQ(Ask("vCont;t"), "E01");
  EXPECT_EQ(Ask("vCont"), "E01");
  EXPECT_EQ(Ask("vCont;Czz"), "E01");
  EXPECT_EQ(Ask("vCont;s:7"), "E01");
  EXPECT_EQ(Ask("c1000"), "E01");
  EXPECT_EQ(Ask("C"), "E01");
}

TEST_F(SessionTest, TellsWhyTheMachineStopped) {
  Serve({"?", "c"});
  stream_.TakeOutput();
  Serve({"c"}, {SIGTRAP, Stop::Reason::kBreakpoint});
  EXPECT_THAT(stream_.TakeOutput(), StartsWith(Frame("T05thread:1;swbreak:;")));
  Serve({"c"}, {SIGTRAP, Stop::Reason::kWatchpoint, 0x1f8});
  EXPECT_THAT(stream_.TakeOutput(), HasSubstr("watch:1f8;"));
  Serve({"c"}, {SIGBUS});
  EXPECT_THAT(stream_.TakeOutput(), HasSubstr("$T0athread:1;"));
}

TEST_F(SessionTest, RepeatsWhatWasLost) {
  stream_.Add(Frame("qC") + "-" + Frame("c"));
  session_.Serve({SIGTRAP});
  EXPECT_EQ(stream_.TakeOutput(), "+" + Frame("QC1") + Frame("QC1") + "+");
}

TEST_F(SessionTest, AsksAgainForWhatIsBroken) {
  stream_.Add("$qC#00" + Frame("c"));
  EXPECT_EQ(session_.Serve({SIGTRAP}).action, Resume::Action::kContinue);
  EXPECT_EQ(stream_.TakeOutput(), "-+");
}

TEST_F(SessionTest, GivesUpWhereItCannotAskAgain) {
  Serve({"QStartNoAckMode", "c"});
  stream_.Add("$qC#00" + Frame("c"));
  EXPECT_EQ(session_.Serve({SIGTRAP}).action, Resume::Action::kLeave);
}

TEST_F(SessionTest, ADebuggerThatIsGoneLeavesTheMachineAlone) {
  EXPECT_EQ(Serve({"?"}).action, Resume::Action::kLeave);
}

TEST_F(SessionTest, StopsForAnInterruptOnly) {
  Serve({"c"});
  EXPECT_FALSE(session_.WantsStop());
  stream_.Add("+");
  EXPECT_FALSE(session_.WantsStop());
  stream_.Add("$m1000,1#8a\x03");
  EXPECT_TRUE(session_.WantsStop());
  EXPECT_TRUE(session_.WantsStop());
  Serve({"c"}, {SIGINT});
  EXPECT_FALSE(session_.WantsStop());
}

TEST_F(SessionTest, TellsTheEnd) {
  session_.TellExit(7);
  EXPECT_EQ(stream_.TakeOutput(), Frame("W07"));
  session_.TellKilled(SIGABRT);
  EXPECT_EQ(stream_.TakeOutput(), Frame("X06"));
}

TEST(RegisterBytesTest, HasAllBytesInOrder) {
  Registers registers = {};
  const auto* at = reinterpret_cast<const uint8_t*>(&registers);
  for (uint64_t number = 0; number < kRegisters; ++number) {
    const auto bytes = RegisterBytes(&registers, number);
    ASSERT_TRUE(bytes.has_value()) << number;
    EXPECT_EQ(bytes->data(), at) << number;
    at += bytes->size();
  }
  EXPECT_EQ(at, reinterpret_cast<const uint8_t*>(&registers + 1));
  EXPECT_FALSE(RegisterBytes(&registers, kRegisters).has_value());
  EXPECT_FALSE(RegisterBytes(&registers, ~uint64_t{0}).has_value());
}

TEST(TargetDescriptionTest, NamesEveryRegister) {
  const std::string text(TargetDescription());
  size_t count = 0;
  for (size_t at = 0; (at = text.find("<reg ", at)) != std::string::npos;
       ++at) {
    ++count;
  }
  EXPECT_EQ(count, kRegisters);
  EXPECT_THAT(text, HasSubstr("\"gs_base\" bitsize=\"64\""));
  EXPECT_TRUE(text.ends_with("</target>"));
}

}  // namespace
}  // namespace serai::tender::gdb
