"""What a region's server does in one go (Lua): all of it or nothing, in one slot of a cluster.

Each script's keys are a property's state, its waiting records, and what the names of its ranges
begin with; the names themselves follow from the asset keys.
"""

APPLY = """
local state, waiting, prefix = KEYS[1], KEYS[2], KEYS[3]
if ARGV[1] == '1' and (redis.call('HGET', state, 'cursor') or '') ~= ARGV[2] then
  return false
end
-- A server without memory lets a script that began with taking away so end, and refuses one that
-- begins with a record.
if ARGV[4] == '+' then redis.call('HSET', state, 'adding', '') end
redis.call('HDEL', state, 'adding')
local replaced = {}
local at, records, tombstones, waits = 5, 0, 0, 0
local function bucket(key)
  local high, low = string.byte(key, 1, 2)
  return prefix .. (high * 16 + math.floor(low / 16))
end
local function each(step, act)
  local first, last = at + 1, at + step * tonumber(ARGV[at])
  for i = first, last, step do
    act(ARGV[i], ARGV[i + 1])
  end
  at = last + 1
end
local function withdraw(key)
  records = records - redis.call('HDEL', bucket(key), key)
  waits = waits - redis.call('HDEL', waiting, key)
end
each(1, withdraw)
each(1, function(key)
  withdraw(key)
  tombstones = tombstones - redis.call('HDEL', bucket(key), key .. 't')
end)
each(2, function(key, signed)
  withdraw(key)
  tombstones = tombstones + redis.call('HSET', bucket(key), key .. 't', signed)
end)
each(2, function(key, signed)
  waits = waits + redis.call('HSET', waiting, key, signed)
end)
local any_wait = redis.call('EXISTS', waiting) == 1
each(2, function(key, signed)
  local name = bucket(key)
  -- Most records are new, and each call costs more than all else here.
  if redis.call('HSETNX', name, key, signed) == 1 then
    records = records + 1
  else
    local old = redis.call('HGET', name, key)
    if old ~= signed then
      replaced[#replaced + 1] = key
      replaced[#replaced + 1] = old
      redis.call('HSET', name, key, signed)
    end
  end
  if any_wait then
    waits = waits - redis.call('HDEL', waiting, key)
  end
end)
if records ~= 0 then redis.call('HINCRBY', state, 'records', records) end
if tombstones ~= 0 then redis.call('HINCRBY', state, 'tombstones', tombstones) end
if waits ~= 0 then redis.call('HINCRBY', state, 'waiting', waits) end
if ARGV[1] == '1' then redis.call('HSET', state, 'cursor', ARGV[3]) end
return replaced
"""

NOTE = """
redis.call('HDEL', KEYS[2], '')
for i = 1, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
"""

REMOVE = """
for number = 0, tonumber(ARGV[1]) - 1 do
  redis.call('UNLINK', KEYS[3] .. number)
end
return redis.call('DEL', KEYS[1], KEYS[2])
"""
