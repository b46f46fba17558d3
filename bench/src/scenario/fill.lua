-- Appends messages of nobody's room to the log, as a turn does, and a broadcast behind them.
--
-- KEYS: 1 log, 2 meta. ARGV: 1 how many, 2 their data, 3 the broadcast's data ("" is none).
local state = redis.call('HMGET', KEYS[2], 'epoch', 'end')
local epoch, last = state[1], tonumber(state[2])
local ordinal = string.match(epoch, '^%d+')
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function append(head, data)
  local entry = '1 ' .. epoch .. ' ' .. string.format('%.0f', last) .. ' ' .. now .. ' ' .. head .. '\n' .. data
  last = last + 1
  redis.call('XADD', KEYS[1], ordinal .. '-' .. string.format('%.0f', last), 'e', entry)
end
for n = 1, tonumber(ARGV[1]) do
  append('{"k":"r","i":"01920d3c-aaaa-7bbb-8ccc-' .. string.format('%012d', n) .. '","f":"user00000","r":"empty' .. n % 100 .. '"}', ARGV[2])
end
if ARGV[3] ~= '' then append('{"k":"b","i":"01920d3c-aaaa-7bbb-8ccc-000000000000"}', ARGV[3]) end
redis.call('HSET', KEYS[2], 'end', string.format('%.0f', last))
return last
