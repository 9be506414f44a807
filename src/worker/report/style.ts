/** The style of the report: light or dark as the reader's system is, and fit for paper. No font or image is fetched. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1c2430; --soft: #566172; --line: #d9dee6; --code: #f0f2f6; --link: #1a56b8;
  --critical: #b3261e; --warning: #a35c00; --info: #4a6fa5; --good: #1f7a4d;
  --chart-1: #2f6fd0; --chart-2: #c2571a; --chart-3: #2b8a6e; --chart-4: #8f4fb8; --chart-5: #7a8699;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1a2029; --ink: #e4e8ee; --soft: #a0abba; --line: #333d4a; --code: #232b36; --link: #8ab4ff;
    --critical: #ff8a80; --warning: #f0b35a; --info: #8fb2e6; --good: #6fce9f;
    --chart-1: #7aa9ff; --chart-2: #f09a5e; --chart-3: #63c9a8; --chart-4: #c79be8; --chart-5: #97a3b5;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; background: var(--card); padding: .5rem 1rem; z-index: 1; }
.skip:focus { left: .5rem; top: .5rem; }
header, main, footer { max-width: 78rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
h1 { font-size: 1.65rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 0 0 .75rem; }
.meta { color: var(--soft); margin: .25rem 0 0; overflow-wrap: anywhere; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; list-style: none; padding: 0; margin: 1rem 0 0; font-size: .95rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem; margin: 1.25rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 0; }
.tiles > div { border: 1px solid var(--line); border-radius: .6rem; padding: .75rem .9rem; border-left-width: .35rem; }
.tiles dt { color: var(--soft); font-size: .9rem; }
.tiles dd { margin: 0; font-size: 1.5rem; font-weight: 650; line-height: 1.25; overflow-wrap: anywhere; }
.tiles dd.words { font-size: 1.05rem; }
.tiles small { display: block; color: var(--soft); font-size: .85rem; font-weight: 400; }
.tone-critical { border-left-color: var(--critical) !important; } .tone-warning { border-left-color: var(--warning) !important; }
.tone-info { border-left-color: var(--info) !important; } .tone-good { border-left-color: var(--good) !important; }
.verdict { font-size: 1.15rem; margin: 0 0 1rem; }
.verdict strong { font-weight: 700; }
.critical { color: var(--critical); } .warning { color: var(--warning); } .info { color: var(--info); } .good { color: var(--good); }
.badge { display: inline-block; border: 1.5px solid currentColor; border-radius: 1rem; padding: 0 .6rem; font-size: .82rem; font-weight: 650; white-space: nowrap; }
.findings { list-style: none; margin: 0; padding: 0; }
.findings > li { padding: .9rem 0; border-top: 1px solid var(--line); break-inside: avoid; }
.findings > li:first-child { border-top: 0; padding-top: 0; }
.findings p { margin: .35rem 0; overflow-wrap: anywhere; }
.kind, .soft { color: var(--soft); font-size: .9rem; }
pre { background: var(--code); border-radius: .5rem; padding: .6rem .8rem; margin: .4rem 0; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; user-select: all; font: .88rem/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1.5rem 2rem; }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figcaption { font-weight: 650; overflow-wrap: anywhere; }
.chart { margin-top: .4rem; }
.chart svg { display: block; width: 100%; height: auto; overflow: visible; }
.chart svg.narrow { display: none; }
.says { color: var(--soft); font-size: .92rem; margin: .4rem 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; max-height: 24rem; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th { text-align: left; color: var(--soft); font-weight: 600; white-space: nowrap; }
th, td { padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.fixed { white-space: nowrap; }
details { margin: .4rem 0; } summary { cursor: pointer; color: var(--link); font-size: .92rem; }
.missing { color: var(--soft); border-left: .3rem solid var(--line); padding-left: .8rem; margin: 0; overflow-wrap: anywhere; }
footer { color: var(--soft); padding-bottom: 2rem; font-size: .9rem; }
@media (max-width: 40rem) {
  header, main, footer { padding-left: .75rem; padding-right: .75rem; }
  section { padding: 1rem .9rem; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .chart svg.wide { display: none; } .chart svg.narrow { display: block; }
  table.stack thead { position: absolute; left: -100rem; }
  table.stack tr { display: block; border-bottom: 1px solid var(--line); padding: .5rem 0; }
  table.stack td { display: grid; grid-template-columns: 6.5rem minmax(0, 1fr); border: 0; padding: .1rem 0; text-align: left; white-space: normal; }
  table.stack td::before { content: attr(data-label); color: var(--soft); }
}
@media print {
  :root { --page: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --code: #f4f4f4; --link: #000;
    --critical: #b3261e; --warning: #8a4e00; --info: #345; --good: #175e3b;
    --chart-1: #2f6fd0; --chart-2: #c2571a; --chart-3: #2b8a6e; --chart-4: #8f4fb8; --chart-5: #7a8699; }
  body { font-size: 10pt; } nav, .skip, summary { display: none; }
  section { border: 0; padding: 0; margin: 1.2rem 0; } .scroll { max-height: none; overflow: visible; }
  h2 { break-after: avoid; } thead { display: table-header-group; } tr { break-inside: avoid; }
}
`;
