// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/attach.h"

#include "tests/cri/streaming/service_fixture.h"

namespace serai::cri::streaming {
namespace {

using spdy::ClientReset;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AttachServiceTest : public ServiceFixture {
 protected:
  AttachServiceTest() {
    AttachRequest request;
    request.container = "c";
    request.out = true;
    attach_ = std::make_shared<Attach>(io_.get_executor(), backend_, poster_,
                                       request, "v4.channel.k8s.io");
    attach_->Start([this] { ++finished_; });
    host_.service = attach_.get();
  }
  ~AttachServiceTest() override { poster_->Close(); }

  void OpenBoth() {
    Open(1, {{"streamtype", "error"}});
    Open(3, {{"streamtype", "stdout"}});
    host_.Frames();
  }
  // The console, whose answer has come.
  void Say(const std::string& data, uint64_t next, bool ended = false,
           uint64_t lost = 0) {
    ASSERT_THAT(backend_.asked, SizeIs(1));
    backend_.Say({data, next, lost, ended});
    io_.restart();
    io_.poll();
  }

  const std::shared_ptr<Poster> poster_ = std::make_shared<Poster>(io_);
  std::shared_ptr<Attach> attach_;
  int finished_ = 0;
};

TEST_F(AttachServiceTest, APieceIsAskedForWhenTheLastIsTaken) {
  Open(1, {{"streamtype", "error"}});
  EXPECT_THAT(backend_.asked, IsEmpty());
  Open(3, {{"streamtype", "stdout"}});
  host_.Frames();
  Say("one", 103);
  EXPECT_THAT(host_.Frames(), ElementsAre("DATA 3 one"));
  EXPECT_THAT(backend_.asked, IsEmpty());
  host_.Flush();
  ASSERT_THAT(backend_.asked, SizeIs(1));
  EXPECT_EQ(backend_.asked[0].offset, 103U);
  Say("two", 110, /*ended=*/true, /*lost=*/4);
  EXPECT_THAT(host_.Frames(), ElementsAre(HasSubstr("4 bytes came too fast")));
  EXPECT_EQ(finished_, 0);
  host_.Flush();
  EXPECT_EQ(finished_, 1);
  EXPECT_THAT(host_.Frames(), Contains(HasSubstr("Success")));
}

TEST_F(AttachServiceTest, WithItsOutputResetAClientStillHearsOfTheEnd) {
  OpenBoth();
  Say("never taken", 11);
  EXPECT_THAT(backend_.asked, IsEmpty());
  Receive(ClientReset(3));
  Say("forgotten", 20);
  Say("", 20, /*ended=*/true);
  EXPECT_EQ(finished_, 1);
  EXPECT_THAT(host_.Frames(), Contains(HasSubstr("Success")));
}

TEST_F(AttachServiceTest, AResetBetweenPiecesAsksOnce) {
  OpenBoth();
  Receive(ClientReset(3));
  ASSERT_THAT(backend_.asked, SizeIs(1));
  // A new one comes too late.
  Open(5, {{"streamtype", "stdout"}});
  EXPECT_THAT(host_.Frames(), Contains("RST_STREAM 5 5"));
  Say("forgotten", 9, /*ended=*/true);
  EXPECT_EQ(finished_, 1);
}

TEST_F(AttachServiceTest, NothingIsHeldByAClientThatIsGone) {
  OpenBoth();
  Say("never taken", 11);
  session_.Abort();
  attach_->OnClosed();
  host_.waiting.clear();
  const std::weak_ptr<Attach> weak = attach_;
  attach_ = nullptr;
  EXPECT_TRUE(weak.expired());
  // The answer that it still waited for comes to nobody.
  while (!backend_.asked.empty()) Say("late", 20);
}

}  // namespace
}  // namespace serai::cri::streaming
