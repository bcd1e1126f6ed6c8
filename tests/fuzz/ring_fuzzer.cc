// SPDX-License-Identifier: Apache-2.0
// An hvt guest that writes what it likes into its network ring while the host
// serves it.
#include <memory>

#include "tender/hvt/ring.h"
#include "tests/fuzz/guest_end.h"
#include "tests/fuzz/guest_input.h"

namespace {

using namespace serai::fuzz;         // NOLINT(google-build-using-namespace)
using namespace serai::tender;       // NOLINT(google-build-using-namespace)
using namespace serai::tender::hvt;  // NOLINT(google-build-using-namespace)
using serai::solo5::HvtRing;
using serai::solo5::HvtRingEntry;
using serai::solo5::HvtRingOperation;
using serai::solo5::kHvtRingSlots;

constexpr int kSteps = 256;
constexpr uint32_t kNet = 1;
constexpr uint32_t kDisk = 2;

class Machine {
 public:
  Machine() : shared_(std::make_unique<HvtRing>()) {
    devices_[kNet].kind = Device::Kind::kNet;
    devices_[kNet].fd = wire_.guest();
    devices_[kDisk].kind = Device::Kind::kBlock;
  }

  void Run(Input* input);

 private:
  void ChangeWord(Input* input);
  void ChangeBytes(Input* input, size_t size);
  void Add(Input* input);
  void CheckGuestsPart() const;
  bool Serve();

  Memory memory_;
  Wire wire_;
  DeviceTable devices_;
  // Of its own size, so that nothing beyond it is read or written unnoticed.
  std::unique_ptr<HvtRing> shared_;
  std::unique_ptr<HvtRing> before_ = std::make_unique<HvtRing>();
  // Where the host must be.
  uint32_t entry_head_ = 0;
  uint32_t commit_tail_ = 0;
  Ring* ring_ = nullptr;
};

void Machine::ChangeWord(Input* input) {
  uint32_t* const words[] = {&shared_->entry_tail, &shared_->commit_head,
                             &shared_->entry_head, &shared_->commit_tail,
                             &shared_->needs_kick};
  uint32_t* const word = words[input->Take<uint8_t>() % std::size(words)];
  const auto how = input->Take<uint8_t>();
  if (how < 0xf0) {
    *word += static_cast<uint32_t>(static_cast<int8_t>(how));
  } else {
    *word = static_cast<uint32_t>(TakeNumber(input));
  }
}

void Machine::ChangeBytes(Input* input, size_t size) {
  const size_t at = input->Take<uint16_t>() % sizeof(HvtRing);
  const auto bytes = input->TakeBytes(std::min(size, sizeof(HvtRing) - at));
  std::copy(bytes.begin(), bytes.end(),
            reinterpret_cast<uint8_t*>(shared_.get()) + at);
}

// As a guest would; its numbers may be bad.
void Machine::Add(Input* input) {
  HvtRingEntry entry = {};
  const auto kind = input->Take<uint8_t>();
  entry.operation = static_cast<HvtRingOperation>(kind < 0xf8 ? 1u + kind % 2
                                                              : uint32_t{kind});
  entry.handle = kind % 16 == 15 ? input->Take<uint32_t>() : kNet;
  entry.data = TakeNumber(input);
  entry.len = static_cast<uint32_t>(TakeNumber(input));
  entry.id = input->Take<uint32_t>();
  // Often enough of it is the guest's.
  if (kind % 4 == 0) entry.len %= 2048;
  shared_->entries[shared_->entry_tail % kHvtRingSlots] = entry;
  ++shared_->entry_tail;
}

// What the guest has in its own part of the ring is not the host's to write.
void Machine::CheckGuestsPart() const {
  FUZZ_CHECK(shared_->entry_tail == before_->entry_tail);
  FUZZ_CHECK(shared_->commit_head == before_->commit_head);
  FUZZ_CHECK(shared_->needs_kick == before_->needs_kick);
  FUZZ_CHECK(std::memcmp(shared_->entries, before_->entries,
                         sizeof(before_->entries)) == 0);
}

// Whether the ring is whole. The host goes on from where it was, whatever the
// guest has made of what it wrote.
bool Machine::Serve() {
  *before_ = *shared_;
  const Ring::Outcome outcome = ring_->ServeBatch();
  CheckGuestsPart();
  if (outcome == Ring::Outcome::kBroken) return false;
  const uint32_t waiting = before_->entry_tail - entry_head_;
  FUZZ_CHECK(waiting <= kHvtRingSlots);
  FUZZ_CHECK((waiting == 0) == (outcome == Ring::Outcome::kIdle));
  const uint32_t served = std::min(waiting, Ring::kBatch);
  uint32_t reads = 0;
  for (uint32_t i = 0; i < served; ++i) {
    const auto& entry = shared_->entries[entry_head_++ % kHvtRingSlots];
    if (entry.operation == HvtRingOperation::kNetRead) ++reads;
  }
  commit_tail_ += reads;
  FUZZ_CHECK(shared_->entry_head ==
             (served > 0 ? entry_head_ : before_->entry_head));
  FUZZ_CHECK(shared_->commit_tail ==
             (reads > 0 ? commit_tail_ : before_->commit_tail));
  // But for these answers, all are as they were.
  for (uint32_t i = 1; i <= reads; ++i) {
    const uint32_t slot = (commit_tail_ - i) % kHvtRingSlots;
    before_->commits[slot] = shared_->commits[slot];
  }
  FUZZ_CHECK(std::memcmp(shared_->commits, before_->commits,
                         sizeof(before_->commits)) == 0);
  return true;
}

void Machine::Run(Input* input) {
  memory_.Reset();
  *shared_ = {};
  entry_head_ = commit_tail_ = 0;
  Counters counters;
  const GuestMemory guest(memory_.base(), Memory::kSize, memory_.segments());
  Ring ring(shared_.get(), &guest, &devices_, &counters);
  ring_ = &ring;
  bool whole = true;
  for (int i = 0; i < kSteps && whole && !input->empty(); ++i) {
    const auto what = input->Take<uint8_t>();
    switch (what % 8) {
      case 0:
        ChangeWord(input);
        break;
      case 1:
        ChangeBytes(input, what);
        break;
      case 2:
        wire_.Send(input->TakeBytes(what));
        break;
      case 3:
        memory_.Poke(input->Take<uint16_t>(), input->TakeBytes(what));
        break;
      case 4:
        ring.AskForKicks(what >= 0x80);
        ring.HasEntries();
        break;
      case 5:
        whole = Serve();
        break;
      default:
        Add(input);
        break;
    }
  }
  if (!whole) {
    try {
      ring.EndGuest();
    } catch (const GuestEnd& end) {
      FUZZ_CHECK(end.end == End::kViolation);
    }
    FUZZ_CHECK(ring.ServeBatch() == Ring::Outcome::kBroken);
  }
  memory_.CheckUntouched();
  wire_.Drain();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Machine machine;
  Input input(data, size);
  machine.Run(&input);
  return 0;
}
