"""Names that belong to others: attributes of MicroPython's modules and objects, on any port that a node may have.

An attribute with such a name may be a socket's or a list's, so the bundler never gives it another name. Taken from
`dir()` of the runtimes that the tests run, and from MicroPython's documentation for what only the ESP32 has; a test
looks whether a runtime has one that is missing here. A name too many costs a few bytes, one too few a node.
"""

_WORDS = """
ADC ADDR_LEN AF_INET AF_INET6 AF_UNIX ALARM0 ALT ALT_OPEN_DRAIN ANALOG AP_IF ARRAY ATTN_0DB ATTN_11DB ATTN_2_5DB
ATTN_6DB AUTH_CHAP AUTH_MAX AUTH_NONE AUTH_OPEN AUTH_OWE AUTH_PAP AUTH_WAPI_PSK AUTH_WEP AUTH_WPA2_ENTERPRISE
AUTH_WPA2_PSK AUTH_WPA2_WPA3_PSK AUTH_WPA3_ENT_192 AUTH_WPA3_EXT_PSK AUTH_WPA3_EXT_PSK_MIXED_MODE AUTH_WPA3_PSK
AUTH_WPA_PSK AUTH_WPA_WPA2_PSK AUTO B1000000 B115200 B1152000 B230400 B460800 B500000 B57600 B576000 B921600 B9600
BANDWIDTH_160 BANDWIDTH_20 BANDWIDTH_40 BANDWIDTH_80 BANDWIDTH_80_80 BFINT16 BFINT32 BFINT8 BFUINT16 BFUINT32
BFUINT8 BF_LEN BF_POS BIG_ENDIAN BOOT Barrier BytesIO CERT_NONE CERT_OPTIONAL CERT_REQUIRED CONFIG CONTROLLER
CORE_TEMP CORE_VBAT CORE_VREF CTS CancelledError Condition Const_T DEBUG DECREMENT DEEPSLEEP DEEPSLEEP_RESET DELAY
DESC DOWN DRIVE_0 DRIVE_1 DRIVE_2 DRIVE_3 DeflateIO EACCES EADDRINUSE EAGAIN EALREADY EBADF ECONNABORTED
ECONNREFUSED ECONNRESET EEXIST EHOSTUNREACH EINPROGRESS EINVAL EIO EISDIR ENOBUFS ENODEV ENOENT ENOMEM ENOTCONN
ENOTSUP EOPNOTSUPP EPERM ESPNow ESPNowError ETH_CONNECTED ETH_DISCONNECTED ETH_GOT_IP ETH_INITIALIZED ETH_STARTED
ETH_STOPPED ETIMEDOUT EXT0_WAKE EXT1_WAKE Event FALLING FLAG_INDICATE FLAG_NOTIFY FLAG_READ FLAG_WRITE
FLAG_WRITE_NO_RESPONSE FLOAT32 FLOAT64 FrameBuffer FrameBuffer1 GS2_HMSB GS4_HMSB GS8 GZIP HARD_RESET HEAP_DATA
HEAP_EXEC HOLD I2C IDLE ID_T IF_AP IF_STA IGNORE IN INCL INCREMENT INT INT16 INT32 INT64 INT8 INV_CTS INV_RTS INV_RX
INV_TX IOBase IOQueue IPPROTO_IP IPPROTO_SEC IPPROTO_TCP IPPROTO_UDP IP_ADD_MEMBERSHIP IRQ_BREAK IRQ_FALLING
IRQ_HIGH_LEVEL IRQ_INDEX IRQ_LOW_LEVEL IRQ_MATCH IRQ_MAX IRQ_MIN IRQ_RESET IRQ_RISING IRQ_ROLL_OVER IRQ_ROLL_UNDER
IRQ_RX IRQ_RXIDLE IRQ_THRESHOLD0 IRQ_THRESHOLD1 IRQ_TXIDLE IRQ_ZERO KEY_LEN LITTLE_ENDIAN LOG_DEBUG LOG_ERROR
LOG_INFO LOG_NONE LOG_VERBOSE LOG_WARNING LONG LONGLONG LSB Lock LockType Loop MATCH_ROM MAX_DATA_LEN
MAX_ENCRYPT_PEER_NUM MAX_TOTAL_PEER_NUM MBEDTLS_VERSION MODE_11B MODE_11G MODE_11N MODE_CBC MODE_CTR MODE_ECB
MODE_LR MONO MONO_HLSB MONO_HMSB MONO_VLSB MSB MSG_DONTROUTE MSG_DONTWAIT MSG_PEEK MVLSB NATIVE NORMAL NVS ONE_SHOT
OPEN_DRAIN ORDER OUT OneWire OrderedDict PERIODIC PHY_DM9051 PHY_DP83848 PHY_GENERIC PHY_IP101 PHY_KSZ8041
PHY_KSZ8081 PHY_KSZ8851SNL PHY_LAN8670 PHY_LAN8710 PHY_LAN8720 PHY_RTL8201 PHY_W5500 PIN_WAKE PM_NONE PM_PERFORMANCE
PM_POWERSAVE POLLERR POLLHUP POLLIN POLLOUT PROTOCOL_DEFAULT PROTOCOL_DTLS_CLIENT PROTOCOL_DTLS_SERVER PROTOCOL_LR
PROTOCOL_TLS_CLIENT PROTOCOL_TLS_SERVER PTR PULL_DOWN PULL_HOLD PULL_UP PULSE_MAX PWM PWRON_RESET Partition Pin
PinBase Queue RATE_11M RATE_12M RATE_1M RATE_24M RATE_2M RATE_54M RATE_5M RATE_6M RATE_LORA_250K RATE_LORA_500K RAW
RC RESERVE_MEM REVERSE RGB565 RISING RMT RTC RTC_WAKE RTS RUNNING RX Response RingIO SEARCH_ROM SEC_CHAP SEC_DPP
SEC_NONE SEC_OPEN SEC_OWE SEC_PAP SEC_WAPI SEC_WEP SEC_WPA SEC_WPA2 SEC_WPA2_ENT SEC_WPA2_WPA3 SEC_WPA2_WPA3_ENT
SEC_WPA3 SEC_WPA3_ENT SEC_WPA3_ENT_192 SEC_WPA3_EXT_PSK SEC_WPA3_EXT_PSK_MIXED_MODE SEC_WPA_ENT SEC_WPA_WPA2 SHORT
SKIP_ROM SLEEP SLEEP_LIGHT SLEEP_MODEM SLEEP_NONE SOCK_DGRAM SOCK_RAW SOCK_STREAM SOFT_RESET SOL_SOCKET
SO_BINDTODEVICE SO_BROADCAST SO_ERROR SO_KEEPALIVE SO_LINGER SO_REUSEADDR SPI SSLContext STAT_ASSOC_FAIL
STAT_BEACON_TIMEOUT STAT_CONNECTING STAT_CONNECT_FAIL STAT_GOT_IP STAT_HANDSHAKE_TIMEOUT STAT_IDLE STAT_NO_AP_FOUND
STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY
STAT_WRONG_PASSWORD STA_IF STEREO Semaphore Server Signal SingletonGenerator Socket SoftI2C SoftSPI Stream
StreamReader StreamWriter StringIO TCP_NODELAY TCSANOW TIMER_WAKE TLSv1_2 TOUCHPAD_WAKE TX TYPE_APP TYPE_DATA Task
TaskGroup TaskQueue ThreadSafeFlag Timer UART UINT UINT16 UINT32 UINT64 UINT8 ULONG ULONGLONG ULP ULP_WAKE UP USHORT
VOID VREF VfsFat VfsLfs1 VfsLfs2 VfsPosix VfsRom ViperTypeError WAKEUP_ALL_LOW WAKEUP_ANY_HIGH WAKE_HIGH WAKE_LOW
WDT WDT_RESET WIDTH_10BIT WIDTH_11BIT WIDTH_12BIT WIDTH_13BIT WIDTH_9BIT WLAN WLAN_WAKE ZLIB a2b_base64 abs accept
accept_conn aclose acos acosh acquire active add add_done_callback add_note add_peer addressof aes airecv alarm
alarm_left all alloc_emergency_exception_buf allocate_lock antenna any append appendleft arecv args argv array
as_bytearray as_completed as_integer_ratio asend asin asinh asm_thumb asm_xtensa at_eof atan atan2 atanh atexit
atten auth awrite awritestr b2a_base64 basename bdev bin bind bit_length bitstream bitstream_channel bitstream_rmt
blit block bool bootloader bpp buf buffer bytearray bytearray_at byteorder bytes bytes_at calcsize calibration
call_exception_handler callable callback can_write_eof cancel cancelled casefold cast cat cb cd ceil center
change_daemon channel channel_num characters_written chdir check_bootsec check_hostname check_msg choice chr cipher
classmethod clear client_id client_s clock clock_div close closed closefd collect commit compile complex config
conjugate connect const content convert_temp copy copysign core coro coro_running cos cosh count country cp cr_await
cr_frame cr_running crc32 crc8 create_task csi_available csi_disable csi_dropped csi_enable csi_read cur_task
current_task data datetime decode decrypt deepsleep default_exception_handler degrees deinit del_peer delattr delay
delete deleter denominator deque detach dht_readinto dict difference difference_update digest dir dirname disable
disable_irq discard disconnect divmod done drain drive dump dumps dupterm dupterm_notify duty duty_ns duty_u16
ellipse enable enable_irq encode encoding encrypt end endswith ensure_future enumerate erase_key erf erfc errno
errorcode eval event exc_info exception exec execfile executable exists exit exp expandtabs expm1 extend fabs
factorial fdel feed feed_data feed_eof fget filename fileno fill fill_rect filter find flash_erase flash_read
flash_size flash_user_start flash_write float floor flush fmod format format_map freq frexp from_bytes fromhex
fromisoformat fromkeys frozenset fs_corrupted fset func gamma gap_advertise gap_connect gap_disconnect gap_pair
gap_passkey gap_scan gather gattc_discover_characteristics gattc_discover_descriptors gattc_discover_services
gattc_exchange_mtu gattc_read gattc_write gatts_indicate gatts_notify gatts_read gatts_register_services
gatts_set_buffer gatts_write get get_blob get_ciphers get_daemon_status get_event_loop get_exception_handler
get_extra_info get_i32 get_ident get_name get_next get_next_update get_peer get_peers get_running_loop get_update
getaddrinfo getattr getcwd getenv getmtime getpass getpeercert getrandbits getter getvalue gi_frame gi_running
globals gmtime gpio_matrix_in gpio_matrix_out hasattr hash head heap_lock heap_locked heap_unlock heapify heappop
heappush help hex hexlify high hline host hostname humidity id idf_heap_info idle ifconfig ilistdir imag
implementation index inet_ntop inet_pton inf info init input input_choice input_pass insert install int intersection
intersection_update invert io ioctl ipconfig ipoll irecv irq is_closing is_set isalnum isalpha isascii isatty
isclose isconnected isdecimal isdigit isdir isdisjoint isenabled isfile isfinite isidentifier isinf isinstance
islower isnan isnumeric isprintable isspace issubclass issubset issuperset istitle isupper items itemsize iter join
json kbd_intr keepalive keys ldexp len lgamma libc_ver library lightsleep line list listdir listen listen_s ljust
load load_binary load_cert_chain load_verify_locations loads locals localtime locked log log10 log2 loop loop_count
low lower ls lstrip lw_msg lw_qos lw_retain lw_topic mac main makefile maketrans man map
mark_app_valid_cancel_rollback match max maximum_version maxsize mcu_temperature md5 measure mem16 mem32 mem8
mem_alloc mem_backup mem_current mem_free mem_info mem_peak mem_total memory memoryview min minimum_version mkdir
mkfs mktime mod_peer mode modf modify modules monotonic monotonic_ns mount msg mv name namedtuple nan native nbytes
ndim new_event_loop new_task newfile newlines next now ntptime numerator obj object oct off on open open_connection
opt_level ord osdebug out_buf ow pack pack_into partition patch path peek peer_count peers_table pend_throw
perf_counter phase phases phy_mode pi pid pin ping pixel platform polar poll poller poly pop popitem popleft port
post pow print print_exception property ps1 ps2 psk_identity psk_key pswd publish pull push put putenv pwd
pystack_use python_compiler qstr_info queue_read queue_write radians randint random randrange range raw
raw_temperature read read_scratch read_temp read_u16 read_uv readbit readblocks readbyte readexactly readfrom
readfrom_into readfrom_mem readfrom_mem_into readinto readline readlines readonly readuntil real reason reconnect
rect recv recv_into recvfrom recvinto register release remove removeprefix removesuffix rename replace repr request
reset reset_cause result reverse reversed rfind rindex rjust rm rmdir rom_ioctl round rpartition rsplit rstrip run
run_forever run_until_complete scan schedule scroll search seed seek select select_rom send send_html sendall
sendbreak sendto sep server server_handshake set set_blob set_boot set_callback set_ciphers set_exception_handler
set_i32 set_last_will set_name set_native_code_location set_pmk set_result set_wakeup_period setattr setblocking
setdefault setraw setsockopt setter settime settimeout setup setup_conn sha1 sha256 shape shield shift sin sinh
sizeof sleep sleep_ms sleep_type sleep_us slice sock sockaddr socket soft_reset sort sorted source_freq split
splitlines sqrt ssid ssl ssl_params stack_size stack_use start start_foreground start_new_thread start_server
startswith stat state static_host staticmethod stats status statvfs stderr stdin stdout step stop str stream
stream_awrite strerror strftime strides strip struct sub subscribe sum super swapcase symmetric_difference
symmetric_difference_update sync sys system tan tanh tau tcgetattr tcsetattr tell temperature text threshold throw
ticks ticks_add ticks_cpu ticks_diff ticks_ms ticks_us time time_ns time_pulse_us timeout timeout_ms timing title
to_bytes tobytes toggle tolist translate trunc truncate tuple txdone type umount unhexlify uniform union unique_id
unlink unpack unpack_from unregister unsetenv unsubscribe update upper urandom user value values verify_code
verify_message verify_mode version version_info viper vline wait wait_closed wait_done wait_for wait_for_ms
wait_io_event wait_msg waiting wake_on_ext0 wake_on_ext1 wake_on_gpio wake_on_touch wake_on_ulp wake_pins
wake_reason websocket width with_traceback wrap_socket write write_eof write_pulses write_readinto write_scratch
writebit writeblocks writebyte writelines writeto writeto_mem writevto zfill zip
"""
OUTSIDE = frozenset(_WORDS.split())
