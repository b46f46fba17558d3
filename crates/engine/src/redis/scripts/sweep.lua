-- Counts what has expired in queues nobody has written to for long, or empties queues since all are too large.
--
-- KEYS: 1 the index of queues, 2 meta; behind them each user's queue and account. ARGV: 1 the time to live in milliseconds,
-- 2 "expired" or "full"; behind them the users. Answers {expired, emptied}.
local index, meta = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local empties = ARGV[2] == 'full'
local expired, emptied, freed = 0, 0, 0
for n = 1, #ARGV - 2 do
  local user, queue, account = ARGV[n + 2], KEYS[2 * n + 1], KEYS[2 * n + 2]
  local written = tonumber(redis.call('ZSCORE', index, user) or '0')
  local is_old = written + tonumber(ARGV[1]) <= now
  if is_old or empties then
    local known = redis.call('HMGET', account, 'waits', 'bytes')
    local waits = tonumber(known[1] or '0')
    local there = 0
    if redis.call('TYPE', queue).ok == 'list' then
      there = redis.call('LLEN', queue)
      redis.call('UNLINK', queue)
    end
    redis.call('ZREM', index, user)
    freed = freed + tonumber(known[2] or '0')
    if is_old then expired = expired + waits else
      emptied = emptied + math.min(there, waits)
      expired = expired + math.max(0, waits - there)
    end
    if waits > 0 then redis.call('HINCRBY', account, 'missed', waits) end
    redis.call('HSET', account, 'waits', 0, 'bytes', 0)
    redis.call('HDEL', account, 'told')
    redis.call('PEXPIRE', account, 86400000)
  end
end
if freed > 0 then redis.call('HINCRBY', meta, 'queued', string.format('%.0f', -freed)) end
return {expired, emptied}
