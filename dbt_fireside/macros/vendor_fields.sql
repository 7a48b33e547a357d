{#-
All vendor fields that the models read, declared once, with the vendor's own spelling. Staging,
rejected_records and the unit tests use this list. docs/TRACKSOLID_API.md says what each field
means and how certain that is, in the section named after the table. (The list is not in
_sources.yml, because dbt's unit tests cannot read the meta of a source.)
Returns a dict, field -> properties:

    type       text (default) · number · utc (a time in UTC) · local (a time in the fleet's
               zone unless it names its own; seconds may be missing) · date · flag (yes or no) ·
               instant (a time, or Unix seconds or milliseconds) · object (JSON, or JSON as
               text: its fields are read as if they were fields of the record)
    also       other spellings; the first one that is not empty counts
    is_date    the time is a date of the contract and may lie far in the past or the future;
               any other time is the time of a report (is_believed() in records.sql)
    range      a number outside is rejected; a lower bound of 0 or more also means that the
               vendor's -1 is unknown
    unknown    a further number that means unknown, as 255 does for a speed
    is_long    the text may have any length; other texts are rejected if they are longer than
               500 bytes
    key        a record without this field is only kept in rejected_records; a text is the
               condition under which the field is a key. A time in such a condition is the time
               as it was sent, believed or not

The vendor does not publish the payloads of push_obd, push_oil, push_tem, push_faultinfo and
push_tripreport. The names here come from samples and from the polled API. Any other field of a
push goes to `extra`. Only rejected_records reads a table that has no fields here.

Only some columns of the old system's tables (legacy_) are documented. The others are read by
the names that its code and the vendor use.
-#}
{% macro vendor_fields(table=none) %}
    {#- Parsing YAML takes longer than building a table, so parse only this table's section. -#}
    {%- if table is none %}
        {{- return(dict(fromyaml(polled_fields()), **fromyaml(pushed_fields()))) }}
    {%- elif table.startswith('push_') %}
        {%- set others = pushed_fields().split('\n' ~ table ~ ':') %}
        {{- return(fromyaml(others[1].split('\n\n')[0]) or {}) }}
    {%- endif %}
    {{- return(fromyaml(polled_fields())[table]) }}
{% endmacro %}


{% macro polled_fields() %}
child_list:
  account: {key: true}

device_list: &device
  imei: {key: true}
  deviceName: {}
  mcType: {}
  mcTypeUseScope: {}
  sim: {}
  expiration: {type: utc, is_date: true}
  activationTime: {type: utc, is_date: true}
  reMark: {is_long: true}
  vehicleName: {}
  vehicleIcon: {}
  vehicleNumber: {}
  vehicleModels: {}
  carFrame: {}
  driverName: {}
  driverPhone: {}
  enabledFlag: {type: flag}
  engineNumber: {}
  deviceGroupId: {}
  deviceGroup: {}
  machineName: {}
  status: {}

device_detail:
  <<: *device
  account: {}
  customerName: {}
  iccid: {}
  imsi: {}
  fuel_100km: {type: number, range: [0, 200]}             # litres per 100 km

location_list: &location
  imei: {key: true}
  gpsTime: {type: utc}
  hbTime: {type: utc}
  lat: {type: number, range: [-90, 90]}                   # degrees
  lng: {type: number, range: [-180, 180]}                 # degrees
  speed: {type: number, range: [0, 400], unknown: 255}    # km/h
  direction: {type: number, range: [0, 360]}              # degrees from north
  accStatus: {type: flag}
  gpsNum: {type: number, range: [0, 100]}
  gpsSignal: {type: number, range: [0, 100]}
  posType: {}
  powerValue: {type: number, range: [0, 1000]}            # volts
  electQuantity: {type: number, range: [0, 100]}          # per cent
  temperature: {type: number, range: [-100, 200]}         # degrees Celsius
  currentMileage: {type: number, range: [0, 10000000]}    # km
  confidence: {type: number, range: [1, 3]}
  locDesc: {is_long: true}
  expireFlag: {type: flag}                                # off = expired

location_get: *location

track_list:
  imei: {key: true}                                       # of the request
  gpsTime: {type: utc, key: true}
  lat: {type: number, range: [-90, 90], key: true}
  lng: {type: number, range: [-180, 180], key: true}
  gpsSpeed: {type: number, range: [0, 400], unknown: 255}  # km/h
  direction: {type: number, range: [0, 360]}
  posType: {}
  satellite: {type: number, range: [0, 100]}
  ignition: {type: flag}
  accStatus: {type: flag}
  confidence: {type: number, range: [1, 3]}

track_mileage:
  imei: {key: true}
  startTime: {type: utc, key: true}
  endTime: {type: utc, key: '"endTime" is not null'}
  startLat: {type: number, range: [-90, 90]}
  startLng: {type: number, range: [-180, 180]}
  endLat: {type: number, range: [-90, 90]}
  endLng: {type: number, range: [-180, 180]}
  runTimeSecond: {type: number, range: [0, 2678400]}      # seconds, a month
  elapsed: {type: number, range: [0, 2678400]}            # seconds, the other spelling
  distance: {type: number, range: [0, 10000000]}          # metres
  avgSpeed: {type: number, range: [0, 400], unknown: 255}  # km/h
  maxSpeed: {type: number, range: [0, 400], unknown: 255}  # km/h
  startMileage: {type: number, range: [0, 100000000000]}  # odometer, metres
  endMileage: {type: number, range: [0, 100000000000]}    # odometer, metres

parking_report:
  imei: {key: true}
  startTime: {type: utc, key: true}
  endTime: {type: utc, key: '"endTime" is not null'}
  durSecond: {type: number, range: [0, 1000000000]}       # seconds
  lat: {type: number, range: [-90, 90]}
  lng: {type: number, range: [-180, 180]}
  addr: {is_long: true}
  acc: {type: flag}                                       # on = idling, off = parked

alarm_list:
  imei: {key: true}
  alertTypeId: {key: true}
  alertTime: {type: utc, key: true}
  alarmTypeName: {}
  alertTypeName: {}
  positioningTime: {type: utc}
  lat: {type: number, range: [-90, 90]}
  lng: {type: number, range: [-180, 180]}
  speed: {type: number, range: [0, 400], unknown: 255}    # km/h
  geoid: {}

fence_list: &fence
  fence_id: {key: true}
  fence_name: {}
  fence_type: {}
  coordinates: {is_long: true}                            # "lat,lng;lat,lng"
  radius: {type: number, range: [0, 1000000]}             # metres
  description: {is_long: true}
  alert_type: {}
  imeis: {is_long: true}
  stay_time_in: {type: number, range: [0, 10000]}         # days
  stay_time_out: {type: number, range: [0, 10000]}        # days
  account: {}

fence_detail: *fence

legacy_devices:                                           # names of the old system
  imei: {key: true}
  deviceName: {also: [device_name]}
  mcType: {also: [mc_type]}
  mcTypeUseScope: {also: [mc_type_use_scope]}
  sim: {}
  expiration: {type: utc, is_date: true}
  activationTime: {type: utc, is_date: true, also: [activation_time]}
  reMark: {is_long: true, also: [remark, re_mark]}
  vehicleName: {also: [vehicle_name]}
  vehicleIcon: {also: [vehicle_icon]}
  vehicleNumber: {also: [vehicle_number]}
  vehicleModels: {also: [vehicle_models]}
  carFrame: {also: [car_frame]}
  driverName: {also: [driver_name]}
  driverPhone: {also: [driver_phone]}
  enabledFlag: {type: flag, also: [enabled_flag]}
  engineNumber: {also: [engine_number]}
  deviceGroupId: {also: [device_group_id]}
  deviceGroup: {also: [device_group]}
  account: {}
  customerName: {also: [customer_name]}
  iccid: {}
  imsi: {}
  fuel_100km: {type: number, range: [0, 200]}             # litres per 100 km
  assigned_city: {}
  cost_centre: {}

legacy_trips:
  imei: {key: true}
  start_time: {type: utc, key: true}
  end_time: {type: utc, key: 'end_time is not null'}
  distance_m: {type: number, range: [0, 10000000000]}     # millimetres, despite its name
  distance_km: {type: number, range: [0, 10000000]}       # some hold metres
  driving_time_s: {type: number, range: [0, 2678400]}
  avg_speed_kmh: {type: number, range: [0, 400], unknown: 255}
  max_speed_kmh: {type: number, range: [0, 400], unknown: 255}
  start_geom: {is_long: true}                             # GeoJSON, as PostGIS writes it
  end_geom: {is_long: true}

legacy_position_history:
  imei: {key: true}
  gps_time: {type: utc, key: true}
  lat: {type: number, range: [-90, 90], also: [latitude], key: "geom is null"}
  lng: {type: number, range: [-180, 180], also: [lon, longitude], key: "geom is null"}
  geom: {is_long: true}
  speed: {type: number, range: [0, 400], unknown: 255, also: [speed_kmh, gps_speed]}  # km/h
  direction: {type: number, range: [0, 360], also: [heading]}
  acc_status: {type: flag, also: [acc, ignition]}
  gps_num: {type: number, range: [0, 100], also: [satellites, satellite]}

legacy_parking_events:
  imei: {key: true}
  start_time: {type: utc, key: true}
  end_time: {type: utc, key: 'end_time is not null'}
  duration_s: {type: number, range: [0, 1000000000], also: [duration, dur_second, duration_seconds]}
  lat: {type: number, range: [-90, 90], also: [latitude]}
  lng: {type: number, range: [-180, 180], also: [lon, longitude]}
  geom: {is_long: true}
  address: {is_long: true, also: [addr]}

legacy_alarms:
  imei: {key: true}
  alarm_type: {key: true}
  alarm_time: {type: utc, key: true}
  alarm_name: {}
  lat: {type: number, range: [-90, 90], also: [latitude]}
  lng: {type: number, range: [-180, 180], also: [lon, longitude]}
  geom: {is_long: true}
  speed: {type: number, range: [0, 400], unknown: 255, also: [speed_kmh]}  # km/h

legacy_device_events:
  imei: {key: true}
  event_type: {also: [type], key: true}
  event_time: {type: utc, also: [gate_time, occurred_at], key: true}
  detail: {is_long: true, also: [content, event_content, description]}

legacy_obd_readings: {}

jobs:                                                     # columns of a CSV file
  job_id: {key: true}
  service_type: {}
  city: {}
  created: {type: local}
  dispatched: {type: local}
  arrived: {type: local}
  closed: {type: local}
  technician: {}
  vehicle: {}                                             # vehicle_id or plate
  customer_class: {}
  lat: {type: number, range: [-90, 90]}                   # degrees
  lng: {type: number, range: [-180, 180]}                 # degrees
  repeat_of: {}                                           # job_id of the first visit

services:                                                 # columns of a CSV file
  plate: {key: true}                                      # vehicle_id or plate
  date: {type: date, key: true}
  odometer: {type: number, range: [0, 10000000], key: true}         # km
  kind: {}
{% endmacro %}


{#- Do not use YAML anchors here: vendor_fields() cuts out one table, up to the empty line. -#}
{% macro pushed_fields() %}
push_event:
  imei: {key: true}
  gateTime: {type: instant, key: true}
  type: {key: true}                                       # LOGIN, LOGOUT
  timezone: {}

push_iothubevent:
  imei: {key: true}
  gateTime: {type: instant, key: true}
  eventType: {key: true}
  eventContent: {is_long: true}                           # text, often JSON

push_terminaltransinfo:
  imei: {key: true}
  postTime: {type: instant, also: [gateTime], key: true}
  extensionId: {key: true}                                # 8197 status, 8199 serial port
  content: {is_long: true}                                # looks like JSON and is none

push_hb:
  imei: {key: true}
  gateTime: {type: instant, key: true}
  powerLevel: {type: number, range: [0, 100]}             # per cent
  gsmSign: {type: number, range: [0, 100]}                # per cent
  acc: {type: flag, also: [accStatus]}
  oilEle: {type: flag}                                    # 1 = fuel and power cut
  gpsPos: {type: flag}
  remoteLock: {type: flag}
  powerStatus: {type: flag}                               # 1 = charging
  fortify: {type: flag}                                   # 1 = armed

push_gps:
  imei: {key: true}
  gpsTime: {type: instant, key: true}
  lat: {type: number, range: [-90, 90], also: [latitude], key: true}
  lng: {type: number, range: [-180, 180], also: [lon, longitude], key: true}
  gpsSpeed: {type: number, range: [0, 400], unknown: 255, also: [speed]}  # km/h
  direction: {type: number, range: [0, 360], also: [heading]}
  acc: {type: flag, also: [accStatus]}
  satelliteNum: {type: number, range: [0, 100]}
  postType: {also: [positionType]}
  gpsMode: {type: flag}                                   # 1 = stored and sent late
  distance: {type: number, range: [0, 100000000000]}      # odometer, metres
  temperature: {type: number, range: [-100, 200]}         # degrees Celsius

push_tag:
  imei: {key: true}
  gpsTime: {type: instant, key: true}                     # Unix milliseconds
  lat: {type: number, range: [-90, 90], key: true}
  lng: {type: number, range: [-180, 180], key: true}
  positionType: {also: [posType]}
  gpsNum: {type: number, range: [1, 3]}                   # confidence

push_alarm:
  imei: {key: true}
  msg: {type: object}
  type: {}                                                # ICCID and VIN are not alarms
  msgClass: {type: number, range: [0, 9]}
  alertType: {also: [alarmType], key: "coalesce(upper(type), 'DEVICE') = 'DEVICE'"}
  alarmTime: {type: instant, also: [alertTime], key: '"alarmTime" is not null'}
  gateTime: {type: instant, key: '"alarmTime" is null'}
  alarmName: {also: [alarmTypeName, alertTypeName]}
  removeAlarmType: {}                                     # the alarm that has ended
  lat: {type: number, range: [-90, 90]}
  lng: {type: number, range: [-180, 180], also: [lon]}
  gpsSpeed: {type: number, range: [0, 400], unknown: 255, also: [speed]}  # km/h
  fenceId: {}

push_openapi:
  imei: {key: true}
  alarmType: {also: [alertType], key: "request like '%jimi.push.device.alarm%'"}
  alarmTime:
    type: instant
    also: [alertTime]
    key: "request like '%jimi.push.device.alarm%'"
  alarmName: {}
  lat: {type: number, range: [-90, 90]}
  lng: {type: number, range: [-180, 180]}

push_obd:
  imei: {key: true}
  obdJson: {type: object}
  obd: {type: object}
  gateTime: {type: instant, key: '"dataReportTime" is null'}
  dataReportTime:
    type: instant
    also: [obdTime, eventTime]
    key: '"dataReportTime" is not null'
  currentRPM: {type: number, range: [0, 20000], also: [currentRpm, rpm, RPM, engineSpeed]}
  currentSpeed: {type: number, range: [0, 400], unknown: 255, also: [speed, vehicleSpeed]}  # km/h
  coolantTemperature: {type: number, range: [-100, 300], also: [coolantTemp]}
  remainingFuelPercentage: {type: number, range: [0, 100], also: [fuelPercentage]}
  remainingFuel: {type: number, range: [0, 10000]}        # litres
  odometerReading: {type: number, range: [0, 10000000], also: [odometer]}     # km
  deviceAccumulatedMileage: {type: number, range: [0, 10000000]}              # km
  vehicleBatterVoltage: {type: number, range: [0, 1000], also: [vehicleBatteryVoltage]}
  vin: {also: [VIN]}

push_oil:
  imei: {key: true}
  data: {type: object}
  gateTime: {type: instant, also: [oilTime, eventTime], key: true}
  sensor: {also: [sensorId, sensorNo, channel]}
  value: {type: number, range: [0, 1000000], also: [oil, oilValue, oilLevel, fuelLevel]}
  unit: {also: [unitCode, oilUnit, unitType]}

push_tem:
  imei: {key: true}
  data: {type: object}
  gateTime: {type: instant, also: [temTime, eventTime], key: true}
  sensor: {also: [sensorId, sensorNo, channel]}
  temperature: {type: number, range: [-100, 200], also: [temp, tem]}  # degrees Celsius
  humidity: {type: number, range: [0, 100], also: [hum]}              # per cent

push_lbs:
  imei: {key: true}
  lbsJson: {type: object}
  gateTime: {type: instant, key: true}
  postType: {}                                            # LBS, WIFI
  mcc: {type: number, range: [0, 999]}
  mnc: {type: number, range: [0, 999]}
  cellList: {is_long: true}                               # "lac,ci,rssi;lac,ci,rssi"
  wifiList: {is_long: true}                               # "mac,rssi;mac,rssi"

push_faultinfo:
  imei: {key: true}
  data: {type: object}
  gateTime: {type: instant, key: '"eventTime" is null'}
  eventTime: {type: instant, also: [faultTime], key: '"eventTime" is not null'}
  faultCode: {also: [code, dtc]}
  faultDetail: {is_long: true, also: [faultDesc]}

push_tripreport:
  imei: {key: true}
  data: {type: object}
  gateTime: {type: instant}
  startTime: {type: instant, also: [beginTime], key: true}
  endTime: {type: instant, key: '"endTime" is not null'}
  startLat: {type: number, range: [-90, 90]}
  startLng: {type: number, range: [-180, 180]}
  endLat: {type: number, range: [-90, 90]}
  endLng: {type: number, range: [-180, 180]}
  runTimeSecond: {type: number, range: [0, 2678400], also: [elapsed]}         # seconds
  distance: {type: number, range: [0, 10000000]}          # metres
  avgSpeed: {type: number, range: [0, 400], unknown: 255, also: [averageSpeed]}  # km/h
  maxSpeed: {type: number, range: [0, 400], unknown: 255}  # km/h
  startMileage: {type: number, range: [0, 100000000000]}  # odometer, metres
  endMileage: {type: number, range: [0, 100000000000]}    # odometer, metres

push_rfid: {}

push_wgtc: {}

push_fileupload: {}

push_resourcelist: {}

push_ftpfileupload: {}

push_passthroughdata: {}

push_instructresponse: {}

push_filecontent: {}

push_extendedkks: {}

push_uploadcallback: {}

push_generalbusiness: {}
{% endmacro %}
