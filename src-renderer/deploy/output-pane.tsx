import { memo, type ReactElement } from 'react';
import { cleanLine } from '../../src-shared/clean-text.ts';
import type { ScriptRun } from '../../src-shared/deploy.ts';
import { useFollowEnd } from '../ui/hooks/use-follow-end.ts';
import styles from './deploy-view.module.css';
import type { OutputBlock } from './output-lines.ts';
import { useScriptOutput } from './use-script-output.ts';

const Block = memo((props: { readonly block: OutputBlock }): ReactElement => {
  return <pre className={styles.block}>{props.block.lines.join('\n')}</pre>;
});
Block.displayName = 'Block';

/** Output of one script. Follows the end while scrolled to it. */
export function OutputPane(props: {
  readonly prefix: string;
  readonly vm: string;
  readonly index: number;
  readonly script: ScriptRun;
}): ReactElement {
  const { vm, script } = props;
  const { output, problem } = useScriptOutput(props.prefix, vm, props.index, script.startedAt);
  const followEnd = useFollowEnd();

  const empty = output.blocks.length === 0 && output.rest === '';
  const running = script.state === 'running';
  return (
    <section className={styles.output} aria-label={`Output of ${script.name} on ${vm}`}>
      <h2 className="ellipsis" title={script.name}>
        <span className="mono">{script.name}</span> <span className="dim">on {vm}</span>
      </h2>
      <div {...followEnd} className={styles.lines} role="log" aria-label="Output" tabIndex={0}>
        {output.cut && <p className="faint">Only the end is shown. logs/deploy in the environment’s folder has everything.</p>}
        {output.blocks.map((block) => (
          <Block key={block.id} block={block} />
        ))}
        {output.rest !== '' && <pre>{cleanLine(output.rest)}</pre>}
        {empty && problem === undefined && (
          <p className="faint">
            {script.startedAt === null ? 'It has not run yet.' : running ? 'Nothing printed yet.' : 'It printed nothing.'}
          </p>
        )}
        {problem !== undefined && <p role="alert">The output cannot be read: {problem}</p>}
      </div>
    </section>
  );
}
