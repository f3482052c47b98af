import type { SourceNode, SourceProblem } from './source.ts';

// Lengths are bounded, so that a line consisting only of braces takes linear time.
const JINJA = /\{\{.{0,200}?\}\}|\{%.{0,200}?%\}|\{#.{0,200}?#\}|\{%-?\s{0,9}\w+|\{\{-?\s{0,9}\w+/g;
const PLACEHOLDER = /__[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*__|@[A-Z][A-Z0-9_]*@/g;
const MAX_REPORTED = 30;

/**
 * Problems for all Jinja2 expressions and statements of a text that is neither valid JSON nor YAML. Empty when there are none; then the
 * text has an ordinary syntax error.
 */
export function jinjaProblems(text: string): SourceProblem[] {
  const problems: SourceProblem[] = [];
  let start = 0;
  for (const line of text.split('\n')) {
    if (problems.length >= MAX_REPORTED) break;
    if (!/^\s*#/.test(line)) {
      for (const match of line.matchAll(JINJA)) {
        problems.push(jinja(match[0], start + match.index));
        if (problems.length >= MAX_REPORTED) break;
      }
    }
    start += line.length + 1;
  }
  const first = problems[0];
  if (first !== undefined) {
    problems[0] = {
      ...first,
      message: `This file is a Jinja2 template, not an init file yet. ${first.message}`,
      hint: 'Render it first, for example: python3 -m jinja2 FILE.in > LagoInitFile, or jinja2 -D NAME=VALUE FILE.in > LagoInitFile.',
    };
  }
  return problems;
}

/** Blames a build-script placeholder for a syntax error on its line, whatever the reader reported. */
export function blamePlaceholder(text: string, problem: SourceProblem): SourceProblem {
  const start = text.lastIndexOf('\n', problem.offset - 1) + 1;
  const end = text.indexOf('\n', problem.offset);
  const placeholder = text.slice(start, end === -1 ? undefined : end).match(PLACEHOLDER)?.[0];
  return placeholder === undefined ? problem : { ...problem, ...unfilled(placeholder) };
}

function unfilled(placeholder: string): { readonly message: string; readonly hint: string } {
  return {
    message: `${placeholder} looks like a placeholder that nothing has filled in.`,
    hint: `Fill it in first, for example: sed 's/${placeholder}/VALUE/g' FILE.in > LagoInitFile.`,
  };
}

function jinja(found: string, offset: number): SourceProblem {
  const shown = found.length > 60 ? `${found.slice(0, 57)}...` : found;
  const kind = found.startsWith('{{') ? 'expression' : found.startsWith('{#') ? 'comment' : 'statement';
  return { offset, severity: 'error', message: `The Jinja2 ${kind} ${shown} must be filled in.` };
}

/**
 * Placeholders that a build script should have replaced (`__ENGINE__`, `@SUITE@`, a quoted `{{ name }}`) in an otherwise valid file.
 * Block scalars are skipped, because cloud-init data may contain Jinja2.
 */
export function placeholderProblems(root: SourceNode): SourceProblem[] {
  const problems = new Map<number, SourceProblem>();
  collect(root, problems);
  return [...problems.values()].sort((left, right) => left.offset - right.offset).slice(0, MAX_REPORTED);
}

function collect(node: SourceNode, into: Map<number, SourceProblem>): void {
  if (node.kind === 'list') for (const item of node.items) collect(item, into);
  else if (node.kind === 'map') {
    for (const entry of node.entries) {
      note(entry.key, entry.keyOffset, into);
      if (entry.key !== 'cloud-init' && entry.key !== 'comment') collect(entry.node, into);
    }
  } else if (typeof node.value === 'string' && !node.block) note(node.value, node.offset, into);
}

function note(text: string, offset: number, into: Map<number, SourceProblem>): void {
  const expression = /\{\{.{0,200}?\}\}|\{%.{0,200}?%\}/.exec(text);
  if (expression !== null) {
    into.set(offset, {
      ...jinja(expression[0], offset),
      hint: 'Render the template first, for example: python3 -m jinja2 FILE.in > LagoInitFile.',
    });
    return;
  }
  const placeholder = text.match(PLACEHOLDER)?.find((found) => found !== '__proto__');
  if (placeholder === undefined) return;
  into.set(offset, { offset, severity: 'warning', ...unfilled(placeholder) });
}
