/** Names that PostgreSQL allows and that break whatever pastes them: each of at most 63 bytes. */
export const hostileNames: readonly string[] = [
  'we;ird "" name',
  'MixedCase',
  'select',
  'user',
  'a.b',
  'line\nbreak',
  'tab\there',
  "it's",
  'back\\slash"and\'quotes',
  '$1 %s %I {{x}} ${y}',
  '--comment /* not */',
  ' leading and trailing ',
  '1starts_with_digit',
  'größe_索引_🐘',
  'e\u0301 combining',
  // 63 bytes, the longest there is: of one byte a character, and of two and three.
  'x'.repeat(63),
  `${'ü'.repeat(31)}x`,
  '索'.repeat(21),
];
