import { useQueryClient } from '@tanstack/react-query';
import { useCall } from '../engine-context.ts';
import { readPrefixes } from '../live-cache.ts';
import { useWindow } from '../window-state.ts';

/** An environment that uses a template or a package repository. */
export interface EnvironmentUser {
  readonly name: string;
  readonly path: string;
}

/** Shows an environment that uses something, adding it to the list if necessary. */
export function useOpenUser(): (user: EnvironmentUser) => void {
  const cache = useQueryClient();
  const call = useCall();
  const { dispatch } = useWindow();
  return (user) => {
    const known = readPrefixes(cache).find((prefix) => prefix.path === user.path);
    if (known !== undefined) {
      dispatch({ type: 'show', page: { kind: 'environment', id: known.id } });
      return;
    }
    void call(`Could not open ${user.name}`, (client) => client.prefix.open({ path: user.path })).then((answer) => {
      const [id] = answer?.prefixes ?? [];
      if (id !== undefined) dispatch({ type: 'show', page: { kind: 'environment', id } });
    });
  };
}
