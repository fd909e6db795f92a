// Fenced blocks of a Markdown page. The first word after the fence is the language, the second says
// what a test does with the block; docs/README.md tells readers about them.

export interface FencedBlock {
  /** `yaml`, `sh`… */
  readonly language: string;
  /** `gateway`, `request`…; empty for a block that is there to be read. */
  readonly mark: string;
  readonly text: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
}

const FENCE = /^```(\S*)[ \t]*(.*)\n([\s\S]*?)^```[ \t]*$/gm;

export function fencedBlocks(markdown: string): FencedBlock[] {
  return [...markdown.matchAll(FENCE)].map(({ 1: language, 2: mark, 3: text, index }) => ({
    language,
    mark: mark.trim(),
    text,
    line: markdown.slice(0, index).split('\n').length,
  }));
}
