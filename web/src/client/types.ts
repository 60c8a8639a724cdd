/** The API's nouns by their names, from the generated schema; narrowed where JSON schema says less than we know. */

import type { components, paths } from './schema'

type Schemas = components['schemas']
type Narrow<T, By> = Omit<T, keyof By> & By

export type Severity = 1 | 2 | 3 | 4
export type AlarmState = Schemas['Alarm']['state']
export type AlarmStep = Narrow<Schemas['AlarmStep'], { from_state: AlarmState; to_state: AlarmState }>
export type Alarm = Narrow<Schemas['Alarm'], { severity: Severity }> & { steps?: AlarmStep[] }
export type AlarmsStepped = Schemas['AlarmsStepped']
export type Colleague = Schemas['Colleague']
export type AlarmRule = Narrow<Schemas['AlarmRule'], { severity: Severity }>

export type User = Schemas['User']
export type Role = User['role']
export type NewUser = Schemas['NewUser']
export type UserChange = Schemas['UserChange']

export type Organization = Schemas['Organization']
export type Vehicle = Schemas['Vehicle']
export type NewVehicle = Schemas['NewVehicle']
export type ImportResult = Schemas['ImportResult']
export type Terminal = Schemas['Terminal']
export type Approval = Schemas['Approval']
export type Geofence = Schemas['Geofence']
export type NewGeofence = Schemas['NewGeofence']
export type Platform = Schemas['Platform']
export type NewPlatform = Schemas['NewPlatform']
export type AuditEntry = Schemas['AuditEntry']
export type TrackPosition = Schemas['TrackPosition']

export type Command = Schemas['Command']
export type CommandState = Command['state']
export type CommandGroup = Schemas['CommandGroup']
export type NewCommandGroup = paths['/api/v1/command-groups']['post']['requestBody']['content']['application/json']
export type CommandKindRow = Schemas['CommandKind']
export type ParameterType = Schemas['ParameterType']
export type Firmware = Schemas['Firmware']
export type Media = Schemas['Media']
export type MediaType = Media['type']
export type Notice = Schemas['SystemNotice']
/** One of the kinds, told apart by `kind`. */
export type NewCommand = paths['/api/v1/commands']['post']['requestBody']['content']['application/json']
export type CommandKind = NewCommand['kind']
export type TextCommand = Schemas['NewTextCommand']

export type Settings = Schemas['PublicSettings']
export type TileSource = Schemas['TileSource']

export type LinkState = Schemas['LivePlatform']['main']
export type Stats = Schemas['LiveStats']
export type LiveSnapshot = Narrow<Schemas['LiveSnapshot'], { positions: PositionRow[]; alarms: Alarm[] }>
export type LiveDelta = Narrow<Schemas['LiveDelta'], { positions: PositionRow[]; alarms: Alarm[] }>
export type LiveMessage = LiveSnapshot | LiveDelta

export interface Page<T> {
  items: T[]
  next: string | null
}

/** What `GET /readyz` says: every part true, or why not. */
export interface Readiness {
  status: string
  parts: Record<string, boolean | string>
}

/** In the order of `position_columns`. */
export type PositionRow = [
  vehicle_id: number,
  time_ms: number,
  received_ms: number,
  latitude_deg: number,
  longitude_deg: number,
  altitude_m: number,
  speed_kmh: number,
  heading_deg: number,
  alarm_flags: number,
  status_flags: number,
  mileage_km: number | null,
]
