// SPDX-License-Identifier: Apache-2.0
// Carries the headers that tests share, compiled once
// (cmake/SeraiTargets.cmake).
int main() { return 0; }
