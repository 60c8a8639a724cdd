/** Part of this page is not to be had: the server has a newer one since, or was away when it was asked for. */

import { shallowRef } from 'vue'

export const isOutdated = shallowRef(false)

export function listenForMissingParts(): void {
  window.addEventListener('vite:preloadError', () => (isOutdated.value = true))
}
