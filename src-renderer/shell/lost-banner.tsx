import { Button } from '@mantine/core';
import { IconPlugConnectedX } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { formatClock, formatDuration } from '../format.ts';
import { useConnection } from '../live-cache.ts';
import { useNow } from '../ui/hooks/use-now.ts';
import styles from './lost-banner.module.css';

/** Says that the view is stale, and since when. */
export function LostBanner(props: { readonly onRetry: () => void }): ReactElement | null {
  const connection = useConnection();
  const now = useNow(connection.status === 'lost');
  if (connection.status !== 'lost') return null;
  return (
    <div className={styles.banner} role="alert">
      <IconPlugConnectedX size={16} stroke={1.8} />
      <span>
        Connection to the engine lost since {formatClock(connection.since, now)}. What you see is as it was then.{' '}
        <span className="dim">{connection.cause}</span>
      </span>
      <span className={styles.space} />
      <span className="dim nowrap" aria-hidden="true">
        {formatDuration(now - connection.since)}
      </span>
      <Button size="compact-xs" onClick={props.onRetry}>
        Try again
      </Button>
    </div>
  );
}
