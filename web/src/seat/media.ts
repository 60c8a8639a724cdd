/** What terminals recorded and sent up: where its bytes are, what is shown large. */

import { shallowRef } from 'vue'
import { url, type Media } from '@/client'

/** Opened in the viewer: the row it stands in, and which one of it. */
export const viewing = shallowRef<{ items: Media[]; id: number } | null>(null)

export function show(items: Media[], id: number): void {
  viewing.value = { items, id }
}

/** The content of a row never changes, so a browser may keep it. */
export const contentUrl = (one: Media) => url(`media/${one.id}/content`)
export const downloadUrl = (one: Media) => url(`media/${one.id}/content`, { download: true })

/** What this browser is able to play; the rest can be saved. */
export const isPlayable = (one: Media) => /^(audio\/(mpeg|wav)|video\/mp4)$/.test(one.content_type)
