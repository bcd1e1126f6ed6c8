// SPDX-License-Identifier: Apache-2.0
#pragma once

// How a guest declares the devices it wants, once, in this namespace:
//   SERAI_GUEST_DEVICES(NetDevice("service"), BlockDevice("storage"));
//   SERAI_GUEST_DEVICES();

#include "tests/guests/runtime/abi.h"

namespace serai::guest {

template <size_t Size>
consteval ManifestEntry DeclaredDevice(DeviceType type,
                                       const char (&name)[Size]) {
  static_assert(Size <= sizeof(ManifestEntry::name));
  ManifestEntry entry = {};
  for (size_t i = 0; i < Size; ++i) entry.name[i] = name[i];
  entry.type = type;
  return entry;
}

template <size_t Size>
consteval ManifestEntry NetDevice(const char (&name)[Size]) {
  return DeclaredDevice(kNetDevice, name);
}

template <size_t Size>
consteval ManifestEntry BlockDevice(const char (&name)[Size]) {
  return DeclaredDevice(kBlockDevice, name);
}

template <typename... Devices>
consteval auto DeclareDevices(Devices... devices) {
  ManifestNote<1 + sizeof...(Devices)> note;
  note.entry[0].type = kReservedFirst;
  size_t index = 0;
  ((note.entry[++index] = devices), ...);
  return note;
}

}  // namespace serai::guest

#define SERAI_GUEST_DEVICES(...)                               \
  [[gnu::section(".note.solo5.manifest"), gnu::used]] alignas( \
      8) constexpr auto serai_guest_manifest_note =            \
      ::serai::guest::DeclareDevices(__VA_ARGS__)
