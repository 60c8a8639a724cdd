/** Who sits here. An expired sign-in asks again in a dialog and lets whatever was going on continue. */

import { computed, shallowRef } from 'vue'
import { api, ApiProblem, onExpired, type User } from '@/client'
import { t } from '@/l10n'
import { reconnectLive, startLive, stopLive } from '@/live'
import { complain } from '@/ui/notify'
import { dropDrafts, read, write } from '@/ui/stored'

const KNOWN = 'signedIn'

export const user = shallowRef<User | null>(null)
export const isExpired = shallowRef(false)
export const centreName = shallowRef('')
export const canAct = computed(() => user.value !== null && user.value.role !== 'viewer')
export const isAdmin = computed(() => user.value?.role === 'admin')

let waiting: ((isBack: boolean) => void)[] = []

onExpired(() => {
  if (!user.value) return Promise.resolve(false)
  isExpired.value = true
  return new Promise((resolve) => waiting.push(resolve))
})

/** The name over the door; known before anybody signs in. */
export async function readCentreName(): Promise<void> {
  try {
    centreName.value = (await api.settings()).centre_name
  } catch {
    // the product's own name stands in for it
  }
}

/** Are we still known from before? Called once, before the first page. A server that is away is not a "no". */
export async function resume(): Promise<'in' | 'out' | 'away'> {
  // Nobody signed in from this browser: no need to ask and be told so.
  if (!read(KNOWN, false)) return 'out'
  try {
    enter(await api.currentUser())
    return 'in'
  } catch (error) {
    if (!(error instanceof ApiProblem) || error.status !== 401) return 'away'
    write(KNOWN, null)
    return 'out'
  }
}

export async function signIn(username: string, password: string): Promise<void> {
  const before = user.value
  const next = await api.signIn(username, password)
  if (isExpired.value && before && before.id !== next.id) {
    // Somebody else took the seat: nothing of the one before may go out under the new name.
    release(false)
    dropDrafts()
    location.reload()
    return
  }
  enter(next)
}

/** Leave the seat. A new page begins, so that nothing of this watch is left in it; without a server this one is emptied. */
export async function signOut(): Promise<void> {
  const failure = await api.signOut().then(
    () => null,
    (error: unknown) => (error instanceof ApiProblem && error.status === 401 ? null : error),
  )
  release(false)
  stopLive()
  dropDrafts()
  write(KNOWN, null)
  user.value = null
  if (failure) complain(t('signIn.outFailed'), failure)
  else location.replace('/')
}

function enter(next: User): void {
  const wasExpired = isExpired.value
  user.value = next
  release(true)
  write(KNOWN, true)
  startLive(() => void checkStillKnown())
  if (wasExpired) reconnectLive()
}

function release(isBack: boolean): void {
  isExpired.value = false
  for (const resolve of waiting) resolve(isBack)
  waiting = []
}

async function checkStillKnown(): Promise<void> {
  try {
    await api.currentUser()
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 401 && user.value) isExpired.value = true
  }
}
