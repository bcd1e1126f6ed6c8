// SPDX-License-Identifier: Apache-2.0
#include "tender/gdb/session.h"

#include <signal.h>

#include <algorithm>

namespace serai::tender::gdb {
namespace {

using std::string_view;
using Event = PacketReader::Event;

// The machine's only thread, and "any" and "all" in its place.
constexpr uint64_t kThread = 1;

// gdb numbers a few signals in its own way.
constexpr int kGdbBusError = 10;
int ToGdb(int signal) { return signal == SIGBUS ? kGdbBusError : signal; }
int FromGdb(uint64_t signal) {
  return signal == kGdbBusError ? SIGBUS : static_cast<int>(signal & 0xff);
}

bool IsThread(PayloadReader id) {
  uint64_t number = 0;
  return id.Take("-1") || (id.TakeHex(&number) && number <= kThread);
}

}  // namespace

Resume Session::Serve(const Stop& stop) {
  stop_ = stop;
  interrupted_ = false;
  if (started_) {
    writer_.Clear();
    DescribeStop();
    Send();
  }
  started_ = true;
  for (;;) {
    Event event = Event::kNone;
    if (!Receive(true, &event)) return {Resume::Action::kLeave, 0};
    if (event == Event::kRepeat) Send();
    if (event == Event::kBroken) {
      // Without acknowledgements a lost packet can't be asked for again.
      if (!acknowledge_ || !stream_->Write("-")) {
        return {Resume::Action::kLeave, 0};
      }
    }
    if (event != Event::kPacket) continue;
    if (acknowledge_ && !stream_->Write("+")) {
      return {Resume::Action::kLeave, 0};
    }
    writer_.Clear();
    Resume resume;
    if (Handle(reader_.payload(), &resume) == Next::kResume) return resume;
    Send();
    acknowledge_ = next_acknowledge_;
  }
}

bool Session::WantsStop() {
  Event event = Event::kNone;
  while (!interrupted_ && !gone_ && Receive(false, &event)) {
    if (event == Event::kNone) break;
    // What a debugger may send while the machine runs is nothing but this.
    interrupted_ = event == Event::kInterrupt;
  }
  return interrupted_ || gone_;
}

// The next event: false at the end, kNone where it need not wait and nothing
// is there.
bool Session::Receive(bool wait, Event* event) {
  for (*event = Event::kNone; !gone_;) {
    while (input_at_ < input_size_) {
      *event = reader_.Add(input_[input_at_++]);
      if (*event != Event::kNone) return true;
    }
    const ssize_t n = stream_->Read(input_, wait);
    if (n < 0) return true;
    input_at_ = 0;
    input_size_ = static_cast<size_t>(n);
    gone_ = n == 0;
  }
  return false;
}

void Session::Send() { gone_ |= !stream_->Write(writer_.Finish()); }

void Session::Say(bool done) { writer_.Text(done ? "OK" : "E01"); }

void Session::TellExit(uint8_t status) {
  writer_.Clear();
  writer_.Text("W").Bytes({&status, 1});
  Send();
}

void Session::TellKilled(int signal) {
  const auto number = static_cast<uint8_t>(ToGdb(signal));
  writer_.Clear();
  writer_.Text("X").Bytes({&number, 1});
  Send();
}

void Session::DescribeStop() {
  const auto signal = static_cast<uint8_t>(ToGdb(stop_.signal));
  writer_.Text("T").Bytes({&signal, 1}).Text("thread:1;");
  switch (stop_.reason) {
    case Stop::Reason::kSignal:
      break;
    case Stop::Reason::kBreakpoint:
      writer_.Text("swbreak:;");
      break;
    case Stop::Reason::kWatchpoint:
      writer_.Text("watch:").Hex(stop_.address).Text(";");
      break;
  }
}

// To what is not known the answer is an empty packet.
Session::Next Session::Handle(string_view payload, Resume* resume) {
  if (payload.empty()) return Next::kReply;
  const PayloadReader packet(payload.substr(1));
  switch (payload[0]) {
    case '?':
      DescribeStop();
      break;
    case 'g':
      ReadRegisters();
      break;
    case 'G':
      WriteRegisters(packet);
      break;
    case 'p':
      ReadRegister(packet);
      break;
    case 'P':
      WriteRegister(packet);
      break;
    case 'm':
      ReadMemory(packet);
      break;
    case 'M':
      WriteMemory(packet, false);
      break;
    case 'X':
      WriteMemory(packet, true);
      break;
    case 'Z':
    case 'z':
      ChangePoint(packet, payload[0] == 'Z');
      break;
    case 'H':
    case 'T':
      Say(true);  // there is one thread
      break;
    case 'c':
    case 'C':
    case 's':
    case 'S':
      return HandleOldResume(payload[0], packet, resume);
    case 'D':
      Say(true);
      Send();
      resume->action = Resume::Action::kLeave;
      return Next::kResume;
    case 'k':
      resume->action = Resume::Action::kKill;
      return Next::kResume;
    case 'v':
      return HandleV(packet, resume);
    case 'q':
    case 'Q':
      HandleQuery(PayloadReader(payload));
      break;
    default:
      break;
  }
  return Next::kReply;
}

Session::Next Session::HandleV(PayloadReader packet, Resume* resume) {
  if (packet.Take("Cont?")) {
    writer_.Text("vCont;c;C;s;S");
  } else if (packet.Take("Cont")) {
    return HandleContinue(packet, resume);
  } else if (packet.Take("Kill")) {
    Say(true);
    Send();
    resume->action = Resume::Action::kKill;
    return Next::kResume;
  }
  return Next::kReply;
}

// ";ACTION[:THREAD]" once or more; the first that is for the thread counts.
Session::Next Session::HandleContinue(PayloadReader packet, Resume* resume) {
  while (packet.Take(";")) {
    const string_view all = packet.rest();
    const string_view item = all.substr(0, all.find(';'));
    packet = PayloadReader(all.substr(item.size()));
    const size_t colon = item.find(':');
    if (colon != string_view::npos &&
        !IsThread(PayloadReader(item.substr(colon + 1)))) {
      continue;
    }
    PayloadReader action(item.substr(0, colon));
    uint64_t signal = 0;
    const bool with_signal = action.Take("C") || action.Take("S");
    if (with_signal ? !action.TakeHex(&signal)
                    : !action.Take("c") && !action.Take("s")) {
      break;
    }
    resume->action = item[0] == 's' || item[0] == 'S'
                         ? Resume::Action::kStep
                         : Resume::Action::kContinue;
    resume->signal = FromGdb(signal);
    return Next::kResume;
  }
  Say(false);
  return Next::kReply;
}

// "c[ADDRESS]", "CSIGNAL[;ADDRESS]", and the same with s and S. Those with an
// address to go on at are of no use any more.
Session::Next Session::HandleOldResume(char command, PayloadReader packet,
                                       Resume* resume) {
  uint64_t signal = 0;
  const bool with_signal = command == 'C' || command == 'S';
  if ((with_signal && !packet.TakeHex(&signal)) || !packet.IsEmpty()) {
    Say(false);
    return Next::kReply;
  }
  resume->action = command == 's' || command == 'S' ? Resume::Action::kStep
                                                    : Resume::Action::kContinue;
  resume->signal = FromGdb(signal);
  return Next::kResume;
}

void Session::HandleQuery(PayloadReader packet) {
  if (packet.Take("qSupported")) {
    writer_.Text("PacketSize=").Hex(kMaxPayload);
    writer_.Text(
        ";qXfer:features:read+;QStartNoAckMode+;swbreak+;hwbreak+;"
        "vContSupported+");
  } else if (packet.Take("qXfer:features:read:target.xml:")) {
    HandleFeatures(packet);
  } else if (packet.Take("QStartNoAckMode")) {
    next_acknowledge_ = false;
    Say(true);
  } else if (packet.Take("qAttached")) {
    writer_.Text("1");  // so a debugger that quits lets the guest live
  } else if (packet.Take("qfThreadInfo")) {
    writer_.Text("m1");
  } else if (packet.Take("qsThreadInfo")) {
    writer_.Text("l");
  } else if (packet.rest() == "qC") {
    writer_.Text("QC1");
  }
}

// "OFFSET,LENGTH".
void Session::HandleFeatures(PayloadReader packet) {
  const string_view document = TargetDescription();
  uint64_t offset = 0;
  uint64_t length = 0;
  if (!packet.TakeHex(&offset) || !packet.Take(",") ||
      !packet.TakeHex(&length) || offset > document.size()) {
    return Say(false);
  }
  length = std::min<uint64_t>(length, kMaxPayload / 2);
  const string_view part = document.substr(offset, length);
  writer_.Text(offset + part.size() == document.size() ? "l" : "m");
  writer_.Escaped(part);
}

void Session::ReadRegisters() {
  Registers registers;
  target_->ReadRegisters(&registers);
  writer_.Bytes(
      {reinterpret_cast<const uint8_t*>(&registers), sizeof(registers)});
}

void Session::WriteRegisters(PayloadReader packet) {
  Registers registers;
  Say(packet.TakeBytes(
          {reinterpret_cast<uint8_t*>(&registers), sizeof(registers)}) &&
      target_->WriteRegisters(registers));
}

// "NUMBER".
void Session::ReadRegister(PayloadReader packet) {
  Registers registers;
  target_->ReadRegisters(&registers);
  uint64_t number = 0;
  if (!packet.TakeHex(&number)) return Say(false);
  const auto bytes = RegisterBytes(&registers, number);
  if (!bytes) return Say(false);
  writer_.Bytes(*bytes);
}

// "NUMBER=VALUE".
void Session::WriteRegister(PayloadReader packet) {
  Registers registers;
  target_->ReadRegisters(&registers);
  uint64_t number = 0;
  if (!packet.TakeHex(&number) || !packet.Take("=")) return Say(false);
  const auto bytes = RegisterBytes(&registers, number);
  Say(bytes && packet.TakeBytes(*bytes) && target_->WriteRegisters(registers));
}

// "ADDRESS,LENGTH". It may be answered with less.
void Session::ReadMemory(PayloadReader packet) {
  uint64_t address = 0;
  uint64_t length = 0;
  if (!packet.TakeHex(&address) || !packet.Take(",") ||
      !packet.TakeHex(&length)) {
    return Say(false);
  }
  const std::span to(memory_.data(),
                     std::min<uint64_t>(length, kMaxPayload / 2));
  if (!target_->ReadMemory(address, to)) return Say(false);
  writer_.Bytes(to);
}

// "ADDRESS,LENGTH:BYTES".
void Session::WriteMemory(PayloadReader packet, bool escaped) {
  uint64_t address = 0;
  uint64_t length = 0;
  if (!packet.TakeHex(&address) || !packet.Take(",") ||
      !packet.TakeHex(&length) || !packet.Take(":") ||
      length > memory_.size()) {
    return Say(false);
  }
  const std::span from(memory_.data(), length);
  const bool whole =
      escaped ? packet.TakeEscaped(from) : packet.TakeBytes(from);
  Say(whole && packet.IsEmpty() && target_->WriteMemory(address, from));
}

// "KIND,ADDRESS,SIZE", with conditions behind that were not offered.
void Session::ChangePoint(PayloadReader packet, bool insert) {
  uint64_t kind = 0;
  uint64_t address = 0;
  uint64_t size = 0;
  if (!packet.TakeHex(&kind) || !packet.Take(",") ||
      !packet.TakeHex(&address) || !packet.Take(",") ||
      !packet.TakeHex(&size) || !packet.IsEmpty()) {
    return Say(false);
  }
  if (kind > static_cast<uint64_t>(Point::kAccess)) return;
  const auto point = static_cast<Point>(kind);
  const Answer answer = insert ? target_->Insert(point, address, size)
                               : target_->Remove(point, address, size);
  if (answer != Answer::kUnsupported) Say(answer == Answer::kDone);
}

}  // namespace serai::tender::gdb
