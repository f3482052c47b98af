import {
  IconAdjustments,
  IconAlertTriangle,
  IconArchive,
  IconArrowBackUp,
  IconGitFork,
  IconPlayerPlay,
  IconPlayerStop,
  IconRocket,
} from '@tabler/icons-react';
import type { TimelineEvent } from '../../src-shared/snapshot/timeline.ts';
import type { Icon } from '../ui/feedback/state-mark.tsx';

/** The marks of events. */
export const EVENT_ICONS: Readonly<Record<TimelineEvent['kind'], Icon>> = {
  start: IconPlayerPlay,
  stop: IconPlayerStop,
  deploy: IconRocket,
  collect: IconArchive,
  revert: IconArrowBackUp,
  fork: IconGitFork,
  change: IconAdjustments,
  failure: IconAlertTriangle,
};
