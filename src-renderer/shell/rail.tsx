import { useMantineColorScheme } from '@mantine/core';
import { IconDeviceDesktop, IconDisc, IconMoon, IconPackages, IconStack2, IconStethoscope, IconSun } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { useMachine } from '../live-cache.ts';
import type { Icon } from '../ui/feedback/state-mark.tsx';
import { Tip } from '../ui/feedback/tip.tsx';
import { type Page, useWindow } from '../window-state.ts';
import styles from './rail.module.css';

function RailButton(props: {
  readonly icon: Icon;
  readonly label: string;
  readonly tip?: string;
  readonly active?: boolean;
  readonly badge?: boolean;
  readonly onClick: () => void;
}): ReactElement {
  const { icon: Symbol } = props;
  return (
    <Tip label={props.tip ?? props.label} position="right">
      <button
        type="button"
        className={styles.button}
        aria-label={props.label}
        aria-current={props.active === true ? 'page' : undefined}
        onClick={props.onClick}
      >
        <Symbol size={20} stroke={1.5} />
        {props.badge === true && <span className={styles.badge} />}
      </button>
    </Tip>
  );
}

const SCHEMES = {
  auto: { icon: IconDeviceDesktop, next: 'light', word: 'follows the system' },
  light: { icon: IconSun, next: 'dark', word: 'light' },
  dark: { icon: IconMoon, next: 'auto', word: 'dark' },
} as const;

/** The navigation bar on the left, with the colour scheme switch. */
export function Rail(): ReactElement {
  const { state, dispatch } = useWindow();
  const machine = useMachine();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const scheme = SCHEMES[colorScheme];
  const attention = machine?.checks.some((check) => check.state !== 'ok') === true;
  function show(page: Page): () => void {
    return () => dispatch({ type: 'show', page });
  }
  return (
    <nav className={styles.rail} aria-label="Main">
      <RailButton
        icon={IconStack2}
        label="Environments"
        tip="Environments (Lago prefixes)"
        active={!['machine', 'library', 'repositories'].includes(state.page.kind)}
        onClick={show({ kind: 'home' })}
      />
      <RailButton
        icon={IconDisc}
        label="Library"
        tip="Library (templates that VMs start from)"
        active={state.page.kind === 'library'}
        onClick={show({ kind: 'library' })}
      />
      <RailButton
        icon={IconPackages}
        label="Package repositories"
        tip="Package repositories (synchronised once for all environments)"
        active={state.page.kind === 'repositories'}
        onClick={show({ kind: 'repositories' })}
      />
      <RailButton
        icon={IconStethoscope}
        label="Machine checks"
        active={state.page.kind === 'machine'}
        badge={attention}
        onClick={show({ kind: 'machine' })}
      />
      <span className={styles.space} />
      <RailButton
        icon={scheme.icon}
        label={`Colours: ${scheme.word}`}
        tip={`Colours: ${scheme.word}. Click for ${SCHEMES[scheme.next].word}.`}
        onClick={() => setColorScheme(scheme.next)}
      />
    </nav>
  );
}
