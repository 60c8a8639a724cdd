/** What the console asks of the server, one line a route. */

import { request, type Query } from './http'
import type {
  Alarm,
  AlarmRule,
  AlarmsStepped,
  Approval,
  AuditEntry,
  Colleague,
  Command,
  CommandGroup,
  CommandKindRow,
  Firmware,
  Geofence,
  ImportResult,
  Media,
  NewCommand,
  NewCommandGroup,
  NewGeofence,
  NewPlatform,
  NewUser,
  NewVehicle,
  Organization,
  Page,
  ParameterType,
  Platform,
  Readiness,
  Settings,
  Terminal,
  TrackPosition,
  User,
  UserChange,
  Vehicle,
} from './types'

export { ApiProblem, onExpired, url } from './http'
export type * from './types'

const get = <T>(path: string, query?: Query) => request<T>('GET', path, { query })
const post = <T>(path: string, body: unknown = {}) => request<T>('POST', path, { body })
const patch = <T>(path: string, body: unknown) => request<T>('PATCH', path, { body })
const remove = (path: string) => request<void>('DELETE', path)

/** Follow `next` to the end, or until `most` items are there. */
export async function all<T>(path: string, query: Query = {}, most = 100_000): Promise<T[]> {
  const items: T[] = []
  let cursor: string | null = null
  do {
    const page: Page<T> = await get<Page<T>>(path, { limit: 1000, ...query, cursor })
    items.push(...page.items)
    cursor = page.next
  } while (cursor !== null && items.length < most)
  return items
}

/** A track longer than this is cut off. */
export const MOST_POINTS = 200_000

export const api = {
  signIn: (username: string, password: string) =>
    request<User>('POST', 'sessions', { body: { username, password }, isAnonymous: true }),
  signOut: () => request<void>('DELETE', 'sessions/current', { isAnonymous: true }),
  changePassword: (current_password: string, new_password: string) => request<void>('PUT', 'sessions/current/password', { body: { current_password, new_password } }),
  currentUser: () => request<User>('GET', 'sessions/current', { isAnonymous: true }),
  settings: () => request<Settings>('GET', 'settings', { isAnonymous: true }),
  /** Answers 503 with the same body when a part is not ready. */
  readiness: async () => (await (await fetch('/readyz', { signal: AbortSignal.timeout(5000) })).json()) as Readiness,

  vehicles: (query?: Query) => all<Vehicle>('vehicles', query),
  createVehicle: (body: NewVehicle) => post<Vehicle>('vehicles', body),
  updateVehicle: (id: number, body: Partial<NewVehicle>) => patch<Vehicle>(`vehicles/${id}`, body),
  deleteVehicle: (id: number) => remove(`vehicles/${id}`),
  importVehicles: (file: File, isTrial: boolean) => {
    const form = new FormData()
    form.set('file', file)
    return request<ImportResult>('POST', 'vehicles/import', { body: form, query: { dry_run: isTrial } })
  },
  track: (id: number, from: string, to: string) =>
    all<TrackPosition>(`vehicles/${id}/track`, { from, to, limit: 10_000 }, MOST_POINTS),

  organizations: () => all<Organization>('organizations'),
  createOrganization: (name: string) => post<Organization>('organizations', { name }),

  terminals: (query?: Query) => all<Terminal>('terminals', query),
  approveTerminal: (id: number, body: Approval) => post<Terminal>(`terminals/${id}/approve`, body),
  blockTerminal: (id: number) => post<Terminal>(`terminals/${id}/block`),

  alarms: (query?: Query, most?: number) => all<Alarm>('alarms', query, most),
  alarmPage: (query?: Query) => get<Page<Alarm>>('alarms', query),
  alarm: (id: string) => get<Alarm>(`alarms/${id}`),
  claimAlarm: (id: string) => post<Alarm>(`alarms/${id}/claim`),
  takeOverAlarm: (id: string) => post<Alarm>(`alarms/${id}/transfer`),
  claimAlarms: (ids: string[]) => post<AlarmsStepped>('alarms/claim', { ids }),
  transferAlarms: (ids: string[], user_id: number, text: string) => post<AlarmsStepped>('alarms/transfer', { ids, user_id, text }),
  handleAlarms: (ids: string[], code: string, text: string) => post<AlarmsStepped>('alarms/handle', { ids, code, text }),
  closeAlarms: (ids: string[], text: string) => post<AlarmsStepped>('alarms/close', { ids, text }),
  desk: () => all<Colleague>('users/desk', { limit: null }),
  alarmRules: () => all<AlarmRule>('alarm-rules'),

  commands: (query?: Query) => get<Page<Command>>('commands', query),
  readCommand: (id: string) => get<Command>(`commands/${id}`),
  confirmCommand: (id: string, plate: string) => post<Command>(`commands/${id}/confirm`, { plate }),
  cancelCommand: (id: string) => post<Command>(`commands/${id}/cancel`),
  commandKinds: () => all<CommandKindRow>('command-kinds', { limit: null }),
  commandGroups: (query?: Query) => get<Page<CommandGroup>>('command-groups', query),
  commandGroup: (body: NewCommandGroup) => post<CommandGroup>('command-groups', body),
  confirmGroup: (id: string, vehicles: number) => post<CommandGroup>(`command-groups/${id}/confirm`, { vehicles }),
  cancelGroup: (id: string) => post<CommandGroup>(`command-groups/${id}/cancel`),
  parameterTypes: () => all<ParameterType>('parameter-types', { limit: null }),

  firmware: () => all<Firmware>('firmware'),
  uploadFirmware: (file: File, query: Query) => request<Firmware>('POST', 'firmware', { body: file, query }),
  deleteFirmware: (id: number) => remove(`firmware/${id}`),

  media: (query?: Query) => get<Page<Media>>('media', query),
  deleteMedia: (id: number) => remove(`media/${id}`),

  command: (body: NewCommand) => post<Command>('commands', body),

  geofences: () => all<Geofence>('geofences'),
  createGeofence: (body: NewGeofence) => post<Geofence>('geofences', body),
  updateGeofence: (id: number, body: Partial<NewGeofence>) => patch<Geofence>(`geofences/${id}`, body),
  deleteGeofence: (id: number) => remove(`geofences/${id}`),

  platforms: () => all<Platform>('platforms'),
  createPlatform: (body: NewPlatform) => post<Platform>('platforms', body),
  updatePlatform: (id: number, body: Partial<NewPlatform>) => patch<Platform>(`platforms/${id}`, body),
  deletePlatform: (id: number) => remove(`platforms/${id}`),

  users: () => all<User>('users'),
  createUser: (body: NewUser) => post<User>('users', body),
  updateUser: (id: number, body: UserChange) => patch<User>(`users/${id}`, body),

  audit: (query?: Query) => get<Page<AuditEntry>>('audit', query),
}
