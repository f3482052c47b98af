import { Button } from '@mantine/core';
import { type ReactElement, useEffect, useEffectEvent, useRef, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import { useCall } from '../engine-context.ts';
import { colouredText } from './ansi.ts';
import styles from './artifacts.module.css';
import { type FilePart, findWord, PART, partOf } from './file-parts.ts';

interface Found {
  readonly at: number;
  readonly length: number;
}

/** The pieces of a text with the found word marked. */
function Text(props: { readonly text: string; readonly found: Found | null }): ReactElement {
  const { text, found } = props;
  const mark = useRef<HTMLElement>(null);
  useEffect(() => mark.current?.scrollIntoView({ block: 'center' }), [found, text]);
  const coloured = (part: string): ReactElement[] =>
    colouredText(part).map((piece, index) => (
      <span key={index} className={styles.piece} data-colour={piece.colour} data-bold={piece.bold}>
        {piece.text}
      </span>
    ));
  if (found === null) return <>{coloured(text)}</>;
  return (
    <>
      {coloured(text.slice(0, found.at))}
      <mark ref={mark}>{text.slice(found.at, found.at + found.length)}</mark>
      {coloured(text.slice(found.at + found.length))}
    </>
  );
}

/** A text file, one part of it at a time: a file of any size can be read and searched. */
export function FileViewer(props: { readonly prefix: string; readonly collection: string; readonly path: string }): ReactElement {
  const { prefix, collection, path } = props;
  const call = useCall();
  const [part, setPart] = useState<FilePart | null>(null);
  /** Where the parts before this one begin. */
  const [before, setBefore] = useState<readonly number[]>([]);
  const [word, setWord] = useState('');
  const [found, setFound] = useState<Found | null>(null);
  const [message, setMessage] = useState('');

  async function load(from: number): Promise<FilePart | undefined> {
    const range = await call(`Could not read ${path}`, (client) =>
      client.collection.read({ prefix, collection, path, from, length: PART }),
    );
    return range === undefined ? undefined : partOf(range, from);
  }

  async function show(from: number, starts: readonly number[]): Promise<void> {
    const next = await load(from);
    if (next === undefined) return;
    setFound(null);
    setMessage('');
    setBefore(starts);
    setPart(next);
  }

  const first = useEffectEvent(() => void show(0, []));
  useEffect(() => first(), [prefix, collection, path]);

  /** Finds the next place, part by part to the end of the file. */
  async function search(): Promise<void> {
    if (part === null || word === '') return;
    let [at, place, starts]: [FilePart, number, readonly number[]] = [
      part,
      findWord(part.text, word, found === null ? 0 : found.at + 1),
      before,
    ];
    while (place < 0 && at.to < at.size) {
      setMessage(`Searching… ${formatBytes(at.to)} of ${formatBytes(at.size)}`);
      const next = await load(at.to);
      if (next === undefined) return;
      starts = [...starts, at.from];
      [at, place] = [next, findWord(next.text, word, 0)];
    }
    setMessage(place < 0 ? `“${word}” is not in the rest of the file.` : '');
    if (place < 0) return;
    setBefore(starts);
    setPart(at);
    setFound({ at: place, length: word.length });
  }

  if (part === null) return <div className={styles.viewer} aria-busy="true" />;
  const whole = part.from === 0 && part.to >= part.size;
  return (
    <div className={styles.viewer}>
      <form
        className={styles.tools}
        onSubmit={(event) => {
          event.preventDefault();
          void search();
        }}
      >
        <input
          type="search"
          className={styles.search}
          placeholder="Search"
          aria-label={`Search in ${path}`}
          value={word}
          onChange={(event) => {
            setWord(event.target.value);
            setFound(null);
            setMessage('');
          }}
        />
        <Button type="submit" size="compact-xs" disabled={word === ''}>
          Find next
        </Button>
        <span className="dim" role="status">
          {message}
        </span>
        <span className={styles.spacer} />
        <span className="dim">
          {whole ? formatBytes(part.size) : `${formatBytes(part.from)} to ${formatBytes(part.to)} of ${formatBytes(part.size)}`}
        </span>
        {!whole && (
          <>
            <Button size="compact-xs" disabled={before.length === 0} onClick={() => void show(before.at(-1) ?? 0, before.slice(0, -1))}>
              Previous part
            </Button>
            <Button size="compact-xs" disabled={part.to >= part.size} onClick={() => void show(part.to, [...before, part.from])}>
              Next part
            </Button>
          </>
        )}
      </form>
      {part.binary ? (
        <p className="dim">This is not a text file.</p>
      ) : (
        <pre className={styles.text} tabIndex={0} role="region" aria-label={`Content of ${path}`}>
          {part.size === 0 ? <span className="faint">The file is empty.</span> : <Text text={part.text} found={found} />}
        </pre>
      )}
    </div>
  );
}
