import { type ReactElement, useEffect, useEffectEvent, useState } from 'react';
import type { TextDiff } from '../../src-shared/collection.ts';
import { useCall } from '../engine-context.ts';
import { DiffLines } from '../ui/diff-lines.tsx';

/** How a text differs between two collections. */
export function DiffViewer(props: {
  readonly prefix: string;
  readonly before: string;
  readonly after: string;
  readonly path: string;
}): ReactElement {
  const { prefix, before, after, path } = props;
  const call = useCall();
  const [diff, setDiff] = useState<TextDiff | null>(null);
  const load = useEffectEvent(async () => {
    const answer = await call(`Could not compare ${path}`, (client) => client.collection.diff({ prefix, before, after, path }));
    if (answer !== undefined) setDiff(answer);
  });
  useEffect(() => void load(), [prefix, before, after, path]);
  return <DiffLines diff={diff} path={path} />;
}
